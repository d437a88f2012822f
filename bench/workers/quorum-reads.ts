/** Reads through the SDK, as one client process: in a closed loop for the peak, in an open loop for latencies. */
import * as hdr from 'hdr-histogram-js';
import { connect, type TallyringClient } from '../../client/index.js';
import { dueAtMs, dueBy, type Schedule } from '../pacing.js';
import { serveWorker } from '../worker.js';
import { seededRandom } from '../zipf.js';

const KEYS = 20_000;
const EVENT_TYPE = 'read';
/** Reads in flight while the peak is measured. */
const PEAK_IN_FLIGHT = 64;
const MICROS_PER_MS = 1_000;

export interface ReadLatency {
  reads: number;
  failed: number;
  p50Ms: number;
  p99Ms: number;
}

let client: TallyringClient;
const random = seededRandom(2);

serveWorker({ open, peak, paced, close: () => client.close() });

/** Connects and writes the keys that will be read. */
async function open(contactPoints: string[]): Promise<void> {
  client = await connect({ contactPoints, localDatacenter: 'dc1', consistency: 'QUORUM' });
  for (let i = 0; i < KEYS; i++) client.count(`read-${i}`, EVENT_TYPE);
  await client.flush();
}

function readOne(): Promise<unknown> {
  return client.get(`read-${Math.floor(random() * KEYS)}`, EVENT_TYPE);
}

/** Reads per second with a fixed number in flight. */
async function peak({ ms }: { ms: number }): Promise<number> {
  const startMs = performance.now();
  let reads = 0;
  const loop = async () => {
    while (performance.now() - startMs < ms) {
      await readOne();
      reads++;
    }
  };
  await Promise.all(Array.from({ length: PEAK_IN_FLIGHT }, loop));
  return (reads * 1000) / (performance.now() - startMs);
}

/** Reads at a fixed rate; latencies from the time each was due. */
async function paced({ ms, perSecond }: { ms: number; perSecond: number }): Promise<ReadLatency> {
  const schedule: Schedule = { startMs: performance.now(), perSecond };
  const histogram = hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    useWebAssembly: false,
  });
  const inFlight = new Set<Promise<void>>();
  let failed = 0;
  let started = 0;
  const start = (dueMs: number) => {
    const read = readOne().then(
      () => histogram.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * MICROS_PER_MS))),
      () => {
        failed++;
      },
    );
    inFlight.add(read);
    void read.then(() => inFlight.delete(read));
  };
  for (let now = schedule.startMs; now - schedule.startMs < ms; now = performance.now()) {
    for (const due = dueBy(schedule, now); started < due; started++) start(dueAtMs(schedule, started));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(inFlight);
  return {
    reads: started,
    failed,
    p50Ms: histogram.getValueAtPercentile(50) / MICROS_PER_MS,
    p99Ms: histogram.getValueAtPercentile(99) / MICROS_PER_MS,
  };
}
