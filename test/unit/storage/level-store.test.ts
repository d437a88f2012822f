import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../../node/storage/level-store.js';
import { realRandom } from '../../../ports/real.js';
import {
  entryOf,
  everything,
  type Opened,
  type OpenOptions,
  testParts,
} from '../../conformance/storage/harness.js';

describe('the LevelDB store and its folder', () => {
  let folder: string;
  const opened: Opened[] = [];

  const openStore = async (options: OpenOptions & { cluster?: string; nodeId?: string } = {}) => {
    const { parts, seen } = testParts(options);
    const { cluster = 'test', nodeId = 'n1' } = options;
    const one = {
      ...(await openLevelStore({ ...parts, cluster, nodeId, folder, random: realRandom })),
      ...seen,
    };
    opened.push(one);
    return one;
  };
  const closeAll = async () => {
    for (const { store } of opened.splice(0)) await store.close();
  };
  const made = async () => {
    const { store } = await openStore();
    await store.merge([entryOf()]);
    await store.declareWhole();
    await closeAll();
    return store;
  };
  const identityFile = () => join(folder, 'identity.json');
  const expectRefusal = (code: string, words: RegExp, options = {}) =>
    expect(openStore(options)).rejects.toMatchObject({ code, message: expect.stringMatching(words) });

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'tallyring-level-')), 'data');
  });

  afterEach(async () => {
    await closeAll();
    await rm(join(folder, '..'), { recursive: true });
  });

  it('takes a file that the database lacks for lost data, not for a failing disk', async () => {
    await made();
    await writeFile(join(folder, 'db', 'CURRENT'), 'MANIFEST-999999\n');
    await expectRefusal('DATA_LOSS', /cluster rebuild/);
  });

  it('writes whose data they are beside the database, and keeps the storeId', async () => {
    const { storeId } = await made();
    const identity = JSON.parse(await readFile(identityFile(), 'utf8'));
    expect(identity).toEqual({
      format: 1,
      cluster: 'test',
      nodeId: 'n1',
      storeId,
      createdAt: '2023-11-14T22:13:20.000Z',
    });
    expect(await readdir(folder)).not.toContain('identity.json.tmp');
    expect((await openStore()).store.storeId).toBe(storeId);
  });

  it('refuses the folder of another cluster or node, and leaves it alone', async () => {
    await made();
    await expectRefusal('FAILED_PRECONDITION', /node n1 of cluster test.*folder of its own/, {
      nodeId: 'n2',
    });
    await expectRefusal('FAILED_PRECONDITION', /node n1 of cluster test/, { cluster: 'other' });
    expect(await everything((await openStore()).store)).toEqual([entryOf()]);
  });

  it('refuses a newer format, and a damaged identity', async () => {
    await made();
    const identity = await readFile(identityFile(), 'utf8');
    await writeFile(identityFile(), JSON.stringify({ format: 2, somethingNew: true }));
    await expectRefusal('UNSUPPORTED_FORMAT', /format 2.*up to 1.*upgrade/);
    await writeFile(identityFile(), identity.slice(0, 40));
    await expectRefusal('DATA_LOSS', /identity.json is damaged.*aside/);
  });

  it('never makes an empty database where one was', async () => {
    await made();
    await unlink(join(folder, 'db', 'CURRENT'));
    await expectRefusal('DATA_LOSS', /is gone.*move the folder aside/);
    await rm(join(folder, 'db'), { recursive: true });
    await expectRefusal('DATA_LOSS', /is gone.*move the folder aside/);
    expect(await readdir(folder)).toEqual(['identity.json']);
  });

  it('never adopts a database without an identity, but finishes a creation that was interrupted', async () => {
    const { storeId } = await openStore().then(({ store }) => store);
    await closeAll();
    await unlink(identityFile());
    const again = await openStore();
    expect(again.opening).toEqual({ created: true, doubts: [] });
    expect(again.store.storeId).not.toBe(storeId);
    await again.store.merge([entryOf()]);
    await closeAll();
    await unlink(identityFile());
    await expectRefusal('FAILED_PRECONDITION', /no identity.json.*restore/);
  });

  it('refuses a database that LevelDB cannot read', async () => {
    await made();
    const manifest = (await readdir(join(folder, 'db'))).find((name) => name.startsWith('MANIFEST'))!;
    await writeFile(join(folder, 'db', manifest), 'rubbish');
    await expectRefusal('DATA_LOSS', /cannot be opened.*move the folder aside/);
  });

  it('doubts a database of another store, and one that was repaired, once', async () => {
    const { storeId } = await made();
    const identity = await readFile(identityFile(), 'utf8');
    await writeFile(identityFile(), identity.replace(storeId, 'f'.repeat(32)));
    expect((await openStore()).opening.doubts[0]).toMatch(`are of store ${storeId}`);
    await opened[0]!.store.declareWhole();
    await closeAll();
    expect((await openStore()).opening).toEqual({ created: false, doubts: [] });
    await closeAll();
    await repairDatabase(join(folder, 'db'));
    const repaired = await openStore();
    expect(repaired.opening.doubts).toEqual(["LevelDB's repair was run on the database"]);
    await closeAll();
    expect((await openStore()).opening.doubts).toHaveLength(1);
    await opened[0]!.store.declareWhole();
    await closeAll();
    expect((await openStore()).opening.doubts).toEqual([]);
  });

  it('refuses to start without free space', async () => {
    await made();
    const limits = { minFreeDiskBytes: Number.MAX_SAFE_INTEGER };
    await expectRefusal('FAILED_PRECONDITION', /bytes are free.*free some space/, { limits });
  });

  it('refuses a path that is no folder', async () => {
    await writeFile(folder, 'a file');
    await expectRefusal('FAILED_PRECONDITION', /is not a folder/);
  });

  it.skipIf(process.getuid?.() === 0)('refuses a folder that it may not write', async () => {
    await made();
    await chmod(join(folder, 'db'), 0o500);
    await expectRefusal('FAILED_PRECONDITION', /cannot be written/);
    await chmod(join(folder, 'db'), 0o700);
  });

  it('refuses a folder in use by another process; kill -9 of that one loses nothing it acknowledged', async () => {
    await made();
    const child = spawn(process.execPath, ['-e', holdDatabase, join(folder, 'db')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise((resolve) => child.on('exit', resolve));
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await expectRefusal('FAILED_PRECONDITION', /in use by another process.*stop that node/);
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
    const { store } = await openStore();
    expect(await everything(store)).toEqual([entryOf()]);
    expect(await store.local.get(Buffer.from('child'))).toEqual(Buffer.from('was here'));
  });
});

/** LevelDB's repair, which `level` has but does not type. */
function repairDatabase(location: string): Promise<void> {
  return (Level as unknown as { repair(location: string): Promise<void> }).repair(location);
}

/** A process that opens the database, writes one local record with sync, says so and stays. */
const holdDatabase = `
  const { Level } = require('level');
  const db = new Level(process.argv[1], { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  const key = Buffer.concat([Buffer.from([0xf0, 0x10]), Buffer.from('child')]);
  db.put(key, Buffer.from('was here'), { sync: true }).then(() => console.log('open'));
  setInterval(() => {}, 1000);
`;
