import { cp, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLevelStore } from '../../../node/storage/level-store.js';
import type { Store } from '../../../node/storage/store.js';
import { realRandom } from '../../../ports/real.js';
import { type Harness, testParts } from './harness.js';
import { hintConformance } from './hint-conformance.js';
import { storeConformance } from './store-conformance.js';

const PAGE_BYTES = 4_096;

async function levelHarness(): Promise<Harness> {
  const base = await mkdtemp(join(tmpdir(), 'tallyring-store-'));
  const stores: Store[] = [];
  let life = 0;
  const folder = () => join(base, `life-${life}`);
  return {
    async open(options) {
      const { parts, seen } = testParts(options);
      const opened = await openLevelStore({ ...parts, folder: folder(), random: realRandom });
      stores.push(opened.store);
      return { ...opened, ...seen };
    },
    /** The files as they are at this moment are what a killed process leaves; the next life has a copy of them. */
    async kill() {
      const dead = folder();
      life++;
      await cp(dead, folder(), { recursive: true });
    },
    async loseMiddleOfLog() {
      await zeroPage(join(folder(), 'db'));
    },
    async dispose() {
      for (const store of stores) await store.close();
      await rm(base, { recursive: true });
    },
  };
}

/** Zeroes one page in the middle of the longest log. */
async function zeroPage(database: string): Promise<void> {
  const logs = (await readdir(database)).filter((name) => name.endsWith('.log'));
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(database, name))).size));
  const size = Math.max(...sizes);
  if (size < 32 * PAGE_BYTES) throw new Error(`the log has only ${size} bytes`);
  const file = await open(join(database, logs[sizes.indexOf(size)]!), 'r+');
  const at = Math.floor(size / 2 / PAGE_BYTES) * PAGE_BYTES;
  await file.write(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, at);
  await file.close();
}

storeConformance('LevelDB', levelHarness);
hintConformance('LevelDB', levelHarness);
