/** Asks the query service over HTTP: statistics of a day at a fixed rate, and how soon an event is seen. */
import { Agent } from 'node:http';
import * as hdr from 'hdr-histogram-js';
import { dueAtMs, dueBy, msUntilDue } from '../pacing.js';
import { serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';
import { requestText } from './http.js';

export interface Latencies {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

const DAY_MS = 86_400_000;
const MICROS_PER_MS = 1_000;
const PROBE_EVERY_MS = 500;
const LOOK_EVERY_MS = 50;
const PROBE_BOUND_MS = 30_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
let urls = { processing: '', query: '' };

serveWorker({ open, statsPaced, probe });

function open(given: typeof urls): void {
  urls = given;
}

/** getStats of the last 24 hours by hour, of videos drawn as the load draws them; from the time each was due. */
async function statsPaced(load: {
  ms: number;
  perSecond: number;
  keys: number;
  exponent: number;
}): Promise<Latencies> {
  const { ms, perSecond, keys, exponent } = load;
  const histogram = hdr.build({ useWebAssembly: false, highestTrackableValue: 120_000_000 });
  const ranks = drawRanks(Math.ceil((ms / 1000) * perSecond) + 1, zipf(keys, exponent, seededRandom(11)));
  const schedule = { startMs: performance.now(), perSecond };
  const inFlight = new Set<Promise<void>>();
  let started = 0;
  const start = (dueMs: number, rank: number) => {
    const now = Date.now();
    const range = `startTime=${now - DAY_MS}&endTime=${now}&granularity=hour`;
    const read: Promise<void> = get(
      `${urls.query}/getStats?videoId=video-${rank}&eventType=view&function=count&${range}`,
    )
      .then(() => {
        histogram.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * MICROS_PER_MS)));
      })
      .finally(() => inFlight.delete(read));
    inFlight.add(read);
  };
  for (let now = schedule.startMs; now - schedule.startMs < ms; now = performance.now()) {
    for (const due = dueBy(schedule, now); started < due; started++) {
      start(dueAtMs(schedule, started), ranks[started % ranks.length]!);
    }
    const restMs = msUntilDue(schedule, started, performance.now());
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }
  await Promise.all(inFlight);
  return told(histogram, started);
}

/** Appends an event of a video of its own now and then, and asks for its count until it is there. */
async function probe({ ms }: { ms: number }): Promise<Latencies> {
  const histogram = hdr.build({ useWebAssembly: false, highestTrackableValue: 120_000_000 });
  const startMs = performance.now();
  const open: Promise<void>[] = [];
  for (let i = 0; performance.now() - startMs < ms; i++) {
    open.push(
      seen(`probe-${process.pid}-${i}`).then((tookMs) => {
        histogram.recordValue(Math.max(1, Math.round(tookMs * MICROS_PER_MS)));
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
  }
  await Promise.all(open);
  return told(histogram, open.length);
}

/** From before the request until its count was read. */
async function seen(videoId: string): Promise<number> {
  const startMs = performance.now();
  await post(`${urls.processing}/countEvent`, { eventId: videoId, videoId, eventType: 'view' });
  for (;;) {
    const { videos } = (await get(`${urls.query}/getCount?videoId=${videoId}&eventType=view`)) as {
      videos: { count: number }[];
    };
    const tookMs = performance.now() - startMs;
    if (videos[0]?.count === 1) return tookMs;
    if (tookMs > PROBE_BOUND_MS) throw new Error(`${videoId} is not seen after ${PROBE_BOUND_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function told(histogram: hdr.Histogram, count: number): Latencies {
  return {
    count,
    p50Ms: histogram.getValueAtPercentile(50) / MICROS_PER_MS,
    p99Ms: histogram.getValueAtPercentile(99) / MICROS_PER_MS,
    maxMs: histogram.maxValue / MICROS_PER_MS,
  };
}

const get = (url: string) => call(url, undefined);
const post = (url: string, body: object) => call(url, Buffer.from(JSON.stringify(body)));

async function call(url: string, body: Buffer | undefined): Promise<unknown> {
  return JSON.parse(await requestText(agent, url, body));
}
