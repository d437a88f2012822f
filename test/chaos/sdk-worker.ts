import { connect } from '../../client/index.js';

/** One application process: increments overlapping keys until told to stop, and says what it counted. */
export interface WorkerReport {
  /** key → [events, sum], exactly what this process asked for. */
  counted: [string, [number, number]][];
  errors: string[];
  slowestMs: number;
}

export const EVENT_TYPE = 'tap';
const KEYS = 40;
const CONCURRENCY = 16;

const contactPoints = process.argv[2]!.split(',');
const client = await connect({ contactPoints });
const counted = new Map<string, [number, number]>();
const errors: string[] = [];
let slowestMs = 0;
let stop = false;
process.on('message', () => {
  stop = true;
});

async function work(): Promise<void> {
  while (!stop) {
    const key = `shared-${Math.floor(Math.random() * KEYS)}`;
    const by = Math.floor(Math.random() * 7) - 2;
    const startMs = performance.now();
    const held = counted.get(key) ?? [0, 0];
    counted.set(key, [held[0] + 1, held[1] + by]);
    try {
      // Half awaited, half fired: both ways of counting.
      if (Math.random() < 0.5) await client.increment(key, EVENT_TYPE, { by, timeoutMs: 60_000 });
      else {
        client.count(key, EVENT_TYPE, by);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } catch (error) {
      errors.push(String(error));
    }
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
}

process.send!('ready');
await Promise.all(Array.from({ length: CONCURRENCY }, work));
try {
  await client.close({ timeoutMs: 60_000 });
} catch (error) {
  errors.push(`close: ${String(error)}`);
}
const report: WorkerReport = { counted: [...counted], errors, slowestMs };
process.send!(report, () => process.disconnect());
