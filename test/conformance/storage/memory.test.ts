import { MemoryDisk } from '../../../node/storage/memory-disk.js';
import { openMemoryStore } from '../../../node/storage/memory-store.js';
import { type Harness, seededRandom, testParts } from './harness.js';
import { hintConformance } from './hint-conformance.js';
import { storeConformance } from './store-conformance.js';

async function memoryHarness(): Promise<Harness> {
  const disk = new MemoryDisk({ random: seededRandom(1) });
  return {
    async open(options) {
      const { parts, seen } = testParts(options);
      return { ...(await openMemoryStore({ ...parts, disk })), ...seen };
    },
    async kill() {
      disk.kill();
    },
    async loseMiddleOfLog() {
      if (!disk.loseMiddleBatch()) throw new Error('the log is too short');
    },
    async dispose() {},
  };
}

storeConformance('the simulated disk', memoryHarness);
hintConformance('the simulated disk', memoryHarness);
