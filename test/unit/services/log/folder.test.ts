import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realClock, realRandom } from '../../../../ports/real.js';
import { openLogFolder } from '../../../../services/log/log-folder.js';
import { rejection } from '../../../conformance/log/log-conformance.js';

let base: string;
let folder: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tallyring-log-folder-'));
  folder = join(base, 'log');
});
afterEach(() => rm(base, { recursive: true }));

const open = (partitions = 4, minFreeDiskBytes = 1) =>
  openLogFolder({
    folder,
    partitions,
    minFreeDiskBytes,
    writeBufferBytes: 65_536,
    clock: realClock,
    random: realRandom,
  });

async function make(): Promise<string> {
  const { store, description } = await open();
  await store.close();
  return description.logId;
}

describe("the log's folder", () => {
  it('is made once and opened again', async () => {
    const logId = await make();
    expect(await make()).toBe(logId);
  });

  it('belongs to one process at a time', async () => {
    const { store } = await open();
    const error = await rejection(open());
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/in use by another process/),
    });
    await store.close();
  });

  it('keeps its number of partitions', async () => {
    await make();
    const error = await rejection(open(8));
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/4 partitions, the configuration says 8/),
    });
  });

  it('without its database, or with that of another log, is DATA_LOSS', async () => {
    await make();
    const identity = await readFile(join(folder, 'identity.json'), 'utf8');
    await rm(join(folder, 'db'), { recursive: true });
    expect(await rejection(open())).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/database of .* is gone/),
    });
    await rm(folder, { recursive: true });
    const other = await make();
    await writeFile(join(folder, 'identity.json'), identity);
    expect(await rejection(open())).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(RegExp(`are of log ${other}`)),
    });
  });

  it('with a database but no identity is refused, unless making it was cut short', async () => {
    await make();
    await rm(join(folder, 'identity.json'));
    await make();
    const { store } = await open();
    await store.write([{ key: Buffer.from('b'), value: Buffer.alloc(1) }], true);
    await store.close();
    await rm(join(folder, 'identity.json'));
    expect(await rejection(open())).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/no identity.json/),
    });
  });

  it('of a newer format, damaged, or on a full disk is refused with words', async () => {
    await make();
    const path = join(folder, 'identity.json');
    const identity = await readFile(path, 'utf8');
    await writeFile(path, identity.replace('"format": 1', '"format": 2'));
    expect(await rejection(open())).toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
    await writeFile(path, identity.slice(0, 20));
    expect(await rejection(open())).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(/is damaged/),
    });
    await writeFile(path, identity);
    const error = await rejection(open(4, 2 ** 52));
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/free some space/),
    });
  });
});
