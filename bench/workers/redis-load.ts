/** Loads Redis with pipelines of INCR over several connections, as one client process. */
import { RedisConnection } from '../redis/connection.js';
import { encodeCommand } from '../redis/resp.js';
import { serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';

const PIPELINE = 64;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

let connections: RedisConnection[] = [];
let nextKey = 0;
let ranks: Uint32Array = new Uint32Array(0);
let nextDraw = 0;
/** INCR commands answered so far. */
let answered = 0;

serveWorker({
  open,
  distinct: ({ ms }: { ms: number }) => load(ms, connections, distinctPipeline),
  distinctAlone: ({ ms }: { ms: number }) => load(ms, connections.slice(0, 1), distinctPipeline),
  distinctWait: ({ ms }: { ms: number }) => load(ms, connections, waitPipeline),
  events: ({ ms }: { ms: number }) => load(ms, connections, eventPipeline),
  check,
});

interface Pipeline {
  bytes: string;
  /** Replies to wait for, and what counts as done with them. */
  commands: number;
  done: number;
  increments: number;
}

interface OpenArgument {
  port: number;
  connectionCount: number;
  skew: { keys: number; exponent: number; draws: number };
}

async function open({ port, connectionCount, skew }: OpenArgument): Promise<void> {
  connections = await Promise.all(Array.from({ length: connectionCount }, () => RedisConnection.open(port)));
  ranks = drawRanks(skew.draws, zipf(skew.keys, skew.exponent, seededRandom(1)));
}

/** Done per second, every connection sending its next pipeline when the last one was answered. */
async function load(
  ms: number,
  through: readonly RedisConnection[],
  makePipeline: () => Pipeline,
): Promise<number> {
  const startMs = performance.now();
  let done = 0;
  const pump = async (connection: RedisConnection) => {
    while (performance.now() - startMs < ms) {
      const pipeline = makePipeline();
      await connection.sendBytes(pipeline.bytes, pipeline.commands);
      done += pipeline.done;
      answered += pipeline.increments;
    }
  };
  await Promise.all(through.map(pump));
  return (done * 1000) / (performance.now() - startMs);
}

function incr(key: string): string {
  return `*2\r\n$4\r\nINCR\r\n$${key.length}\r\n${key}\r\n`; // Keys here are ASCII.
}

/** Always new keys: as the distinct cells. */
function distinctPipeline(): Pipeline {
  let bytes = '';
  for (let i = 0; i < PIPELINE; i++) bytes += incr(`bench-${(nextKey++).toString(36).padStart(6, '0')}`);
  return { bytes, commands: PIPELINE, done: PIPELINE, increments: PIPELINE };
}

const WAIT_ONE = encodeCommand(['WAIT', '1', '1000']).toString();

/** The same, answered only when one replica has it too (in memory): the nearest to a quorum that Redis has. */
function waitPipeline(): Pipeline {
  const pipeline = distinctPipeline();
  return { ...pipeline, bytes: pipeline.bytes + WAIT_ONE, commands: pipeline.commands + 1 };
}

/** Skewed events, one by one, each into its total, day and hour. */
function eventPipeline(): Pipeline {
  const now = Date.now();
  const day = Math.floor(now / DAY_MS);
  const hour = Math.floor(now / HOUR_MS);
  const events = Math.floor(PIPELINE / 3);
  let bytes = '';
  for (let i = 0; i < events; i++) {
    const key = `video-${ranks[nextDraw++ % ranks.length]}:view`;
    bytes += incr(key) + incr(`${key}:d${day}`) + incr(`${key}:h${hour}`);
  }
  return { bytes, commands: events * 3, done: events, increments: events * 3 };
}

/** Whether the server counted as many INCR as were answered: the client's own arithmetic is checked by it. */
async function check(): Promise<void> {
  const [info] = await connections[0]!.send([['INFO', 'commandstats']]);
  const executed = Number(/cmdstat_incr:calls=(\d+)/.exec(String(info))?.[1]);
  if (executed !== answered) throw new Error(`${answered} INCR were answered but ${executed} executed`);
}
