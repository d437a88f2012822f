import { type Job, runJob } from './jobs.js';

/** Tells the parent at most so often. */
const REPORT_EVERY_MS = 500;

let reportedMs = 0;

function report(text: string): void {
  if (performance.now() - reportedMs < REPORT_EVERY_MS) return;
  reportedMs = performance.now();
  process.send!({ text });
}

process.once('message', (job: Job) => {
  runJob(job, report).then(
    (measured) => process.send!({ measured }, () => process.disconnect()),
    (error: unknown) => process.send!({ failure: (error as Error).stack }, () => process.exit(1)),
  );
});
