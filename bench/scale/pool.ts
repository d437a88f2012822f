import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, Measured } from './jobs.js';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

type Message = { text?: string; measured?: Measured; failure?: string };

/** How far the jobs are. */
export interface PoolProgress {
  started(job: Job): void;
  says(job: Job, text: string): void;
  ended(job: Job): void;
}

/** Runs every job in a process of its own, so many at a time; the first that fails ends it all. */
export async function runPool(
  jobs: readonly Job[],
  atATime: number,
  progress: PoolProgress,
): Promise<Measured[]> {
  const waiting = jobs.map((job, index) => ({ job, index }));
  const results: Measured[] = [];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      progress.started(next.job);
      results[next.index] = await runInChild(next.job, progress);
      progress.ended(next.job);
    }
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return results;
}

function runInChild(job: Job, progress: PoolProgress): Promise<Measured> {
  // What gossip decodes lives for half a second: a young generation that holds that much is collected cheaply.
  const execArgv = job.heapMiB ? [`--max-old-space-size=${job.heapMiB}`, '--max-semi-space-size=512'] : [];
  const child = fork(CHILD, { execArgv });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${job.name}: ${why}`));
    child.on('message', ({ text, measured, failure }: Message) => {
      if (measured) resolve(measured);
      else if (failure) fail(failure);
      else progress.says(job, text ?? '');
    });
    child.on('error', (error) => fail(error.message));
    child.on('exit', (code, signal) => fail(`ended early (${signal ?? `exit code ${code}`})`));
    child.send(job);
  });
}
