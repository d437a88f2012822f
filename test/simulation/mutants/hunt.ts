import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Find, Hunt } from './worker.js';

/** A hunt that takes longer is an error: a mutant may also never end. */
const LONGEST_MS = 240_000;

export interface HuntIn extends Hunt {
  /** A compiled simulation (build.ts). */
  folder: string;
}

export interface Hunted {
  find: Find | undefined;
  tookMs: number;
}

/** Runs the hunts, as many at a time as there are cores; outcomes in the order of the hunts. */
export async function huntAll(
  hunts: readonly HuntIn[],
  onHunted: (index: number, hunted: Hunted) => void = () => {},
): Promise<Hunted[]> {
  const outcomes = new Array<Hunted>(hunts.length);
  let next = 0;
  const lane = async () => {
    while (next < hunts.length) {
      const index = next++;
      const startMs = performance.now();
      const find = await huntIn(hunts[index]!);
      outcomes[index] = { find, tookMs: performance.now() - startMs };
      onHunted(index, outcomes[index]);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return outcomes;
}

/** Every hunt has a thread of its own: it loads its own copy of the product. */
function huntIn({ folder, ...hunt }: HuntIn): Promise<Find | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(folder, 'test/simulation/mutants/worker.js'), { workerData: hunt });
    const end = (settle: () => void) => {
      clearTimeout(timer);
      void worker.terminate();
      settle();
    };
    const timer = setTimeout(() => {
      end(() => reject(new Error(`${hunt.profile} from seed ${hunt.from} does not end in ${folder}`)));
    }, LONGEST_MS);
    worker.once('message', (find: Find | undefined) => end(() => resolve(find)));
    worker.once('error', (error) => end(() => reject(error)));
  });
}
