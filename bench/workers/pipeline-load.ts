/** Sends events to the processing service over HTTP, as one client process. */
import { Agent } from 'node:http';
import { dueBy, msUntilDue } from '../pacing.js';
import { serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';
import { requestText } from './http.js';

export interface LoadShape {
  keys: number;
  exponent: number;
  events: number;
  perRequest: number;
  /** Event times are spread over so long before now; absent: the service's clock, when it takes them. */
  spreadMs?: number;
}

const CONNECTIONS = 4;
const agent = new Agent({ keepAlive: true, maxSockets: 2 * CONNECTIONS });
const random = seededRandom(7);
let url = '';
let bodies: Buffer[] = [];
let perRequest = 0;
let nextBody = 0;
let prepared = 0;

serveWorker({ open, prepare, sendAll, sendPaced });

function open(processingUrl: string): void {
  url = `${processingUrl}/processEvents`;
}

/** Makes the requests before the clock starts: a firehose has its events already. */
function prepare({ keys, exponent, events, perRequest: each, spreadMs }: LoadShape): number {
  const ranks = drawRanks(events, zipf(keys, exponent, random));
  const nowMs = Date.now();
  bodies = [];
  nextBody = 0;
  perRequest = each;
  prepared++;
  for (let from = 0; from < events; from += each) {
    const list = Array.from(ranks.subarray(from, from + each), (rank, i) => ({
      eventId: `${process.pid}-${prepared}-${from + i}`,
      videoId: `video-${rank}`,
      eventType: 'view',
      ...(spreadMs !== undefined && { timestamp: Math.floor(nowMs - random() * spreadMs) }),
    }));
    bodies.push(Buffer.from(JSON.stringify({ events: list })));
  }
  return bodies.length;
}

/** As fast as the service takes them; resolves with the events sent, when all are in the log. */
async function sendAll(): Promise<number> {
  const loop = async () => {
    while (nextBody < bodies.length) await send(bodies[nextBody++]!);
  };
  const from = nextBody;
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
  return (nextBody - from) * perRequest;
}

/** At a fixed rate, until the prepared requests are used up or the time is over. */
async function sendPaced({ ms, perSecond }: { ms: number; perSecond: number }): Promise<number> {
  const schedule = { startMs: performance.now(), perSecond: perSecond / perRequest };
  const inFlight = new Set<Promise<void>>();
  const from = nextBody;
  for (let now = schedule.startMs; now - schedule.startMs < ms; now = performance.now()) {
    for (const due = from + dueBy(schedule, now); nextBody < Math.min(due, bodies.length); ) {
      const sent: Promise<void> = send(bodies[nextBody++]!).finally(() => inFlight.delete(sent));
      inFlight.add(sent);
    }
    const restMs = msUntilDue(schedule, nextBody - from, performance.now());
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }
  await Promise.all(inFlight);
  return (nextBody - from) * perRequest;
}

async function send(body: Buffer): Promise<void> {
  const text = await requestText(agent, url, body);
  if (!text.includes('"rejected":[]')) throw new Error(`not all were taken: ${text.slice(0, 300)}`);
}
