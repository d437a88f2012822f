import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLevelStore } from '../../../node/storage/level-store.js';
import { checkTables, faultOfTable } from '../../../node/storage/table-check.js';
import { realRandom, realTimers } from '../../../ports/real.js';
import { entryOf, testParts } from '../../conformance/storage/harness.js';
import { SeededRandom } from '../../simulation/seeded-random.js';

describe('LevelDB tables', () => {
  let folder: string;
  const database = () => join(folder, 'db');
  const open = () => {
    const { parts } = testParts();
    const { wrapEngine: _, ...rest } = parts;
    return openLevelStore({
      ...rest,
      timers: realTimers,
      cluster: 'test',
      nodeId: 'n1',
      folder,
      random: realRandom,
    });
  };
  const tables = () => readdirSync(database()).filter((name) => name.endsWith('.ldb'));

  /** A store of two tables with two versions of everything: every start turns the log into a table. */
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'tallyring-tables-')), 'data');
    for (const sequence of [1, 2]) {
      const { store } = await open();
      const entries = Array.from({ length: 500 }, (_, i) => entryOf({ key: `k${i}`, sequence }));
      await store.merge(entries);
      await store.declareWhole();
      await store.close();
    }
    await (await open()).store.close();
  });

  afterEach(() => rm(join(folder, '..'), { recursive: true }));

  const flip = async (name: string, at?: number): Promise<void> => {
    const bytes = readFileSync(join(database(), name));
    const where = at ?? Math.floor(bytes.length / 3);
    bytes[where]! ^= 4;
    await writeFile(join(database(), name), bytes);
  };

  it('show a flipped bit, wherever it is', () => {
    const random = new SeededRandom(1);
    expect(tables().length).toBeGreaterThanOrEqual(2);
    for (const name of tables()) {
      const whole = readFileSync(join(database(), name));
      expect(faultOfTable(whole)).toBeUndefined();
      for (let i = 0; i < 300; i++) {
        const bytes = Buffer.from(whole);
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
        const fault = faultOfTable(bytes);
        // Between the handles and the magic a footer is zeros, which nobody reads.
        if (fault === undefined) expect(bytes.subarray(0, -48)).toEqual(whole.subarray(0, -48));
      }
      for (const length of [0, 7, 47, whole.length - 1]) {
        expect(faultOfTable(whole.subarray(0, length))).toEqual({ kind: 'unfinished' });
      }
    }
  });

  it('that are damaged are set aside with the database, once', async () => {
    const [name] = tables();
    await flip(name!);
    const { store, opening } = await open();
    expect(opening).toMatchObject({ created: false, doubts: [expect.stringContaining(name!)] });
    expect(await store.get([entryOf({ key: 'k1', sequence: 1 }).key])).toEqual([undefined]);
    expect(existsSync(join(folder, 'db.damaged', name!))).toBe(true);
    await store.merge(Array.from({ length: 500 }, (_, i) => entryOf({ key: `k${i}`, sequence: 3 })));
    await store.close();
    await (await open()).store.close();
    await flip(tables()[0]!);
    await expect(open()).rejects.toMatchObject({ code: 'DATA_LOSS', message: /delete .*db\.damaged/ });
  });

  it('with a damaged footer are told from those that a killed process was writing', async () => {
    await writeFile(join(database(), '009999.ldb'), 'half a table');
    const orphan = await open();
    expect(orphan.opening).toEqual({ created: false, doubts: [] });
    await orphan.store.close();
    const [name] = tables();
    await flip(name!, readFileSync(join(database(), name!)).length - 3);
    const { store, opening } = await open();
    expect(opening.doubts).toEqual([expect.stringContaining(name!)]);
    await store.close();
  });

  it('that go bad under a running store stop it', async () => {
    const { store } = await open();
    await store.checkFiles();
    expect(store.failure).toBeUndefined();
    await flip(tables()[0]!);
    await store.checkFiles();
    expect(store.failure).toMatchObject({ code: 'STORE_FAILED', message: /damaged tables/ });
    await expect(store.merge([entryOf({ key: 'k1', sequence: 9 })])).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
    await store.close();
  });

  it('that go while they are checked are passed over', async () => {
    const names = tables();
    let gone = false;
    const found = await checkTables(database(), async () => {
      if (!gone) await rm(join(database(), names[1]!));
      gone = true;
    });
    expect(found).toEqual({ damaged: [], unfinished: [] });
  });
});
