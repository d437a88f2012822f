/** Counter updates of Cassandra at QUORUM, one by one or in batches, as one client process. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { serveWorker } from '../worker.js';

const KEYS = 20_000;
const IN_FLIGHT = 128;
const BATCH = 100;
const BATCHES_IN_FLIGHT = 8;
const QUORUM = 4;
const UPDATE = 'UPDATE bench.counters SET n = n + 1 WHERE key = ?';

/** As much of cassandra-driver as is used; the package itself is no dependency. */
interface Driver {
  connect(): Promise<void>;
  execute(
    query: string,
    parameters?: unknown[],
    options?: object,
  ): Promise<{ rows: Record<string, unknown>[] }>;
  batch(queries: { query: string; params: unknown[] }[], options: object): Promise<unknown>;
}

let driver: Driver;
let nextKey = 0;
let acknowledged = 0;
let failures = 0;

serveWorker({
  open,
  single: ({ ms }: { ms: number }) => load(ms, IN_FLIGHT, updateOne),
  batches: ({ ms }: { ms: number }) => load(ms, BATCHES_IN_FLIGHT, updateBatch),
  check,
});

interface OpenArgument {
  driverFolder: string;
  contactPoints: string[];
}

async function open({ driverFolder, contactPoints }: OpenArgument): Promise<void> {
  const { Client } = createRequire(join(driverFolder, 'package.json'))('cassandra-driver');
  driver = new Client({
    contactPoints,
    localDataCenter: 'datacenter1',
    queryOptions: { consistency: QUORUM, prepare: true },
    socketOptions: { readTimeout: 30_000 },
  }) as Driver;
  await driver.connect();
  await driver.execute(
    "CREATE KEYSPACE IF NOT EXISTS bench WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}",
    [],
    { prepare: false },
  );
  await driver.execute('CREATE TABLE IF NOT EXISTS bench.counters (key text PRIMARY KEY, n counter)', [], {
    prepare: false,
  });
}

function newKey(): string {
  return `video-${nextKey++ % KEYS}`;
}

async function updateOne(): Promise<number> {
  await driver.execute(UPDATE, [newKey()]);
  return 1;
}

async function updateBatch(): Promise<number> {
  const queries = Array.from({ length: BATCH }, () => ({ query: UPDATE, params: [newKey()] }));
  await driver.batch(queries, { prepare: true, counter: true, consistency: QUORUM });
  return BATCH;
}

/** Updates acknowledged per second. Updates that time out are in doubt and not counted; all failing is an error. */
async function load(ms: number, inFlight: number, update: () => Promise<number>) {
  const startMs = performance.now();
  let done = 0;
  let failed = 0;
  let lastError: unknown;
  const loop = async () => {
    while (performance.now() - startMs < ms) {
      try {
        // Not `done += await …`: that reads `done` before it waits, and the loops would undo each other's sums.
        const updates = await update();
        done += updates;
      } catch (error) {
        failed++;
        lastError = error;
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  acknowledged += done;
  failures += failed;
  if (done === 0) throw lastError;
  return { perSecond: (done * 1000) / (performance.now() - startMs), failed };
}

/** Whether the table holds what was acknowledged: a rate of updates that are not there would be worth nothing. */
async function check(): Promise<void> {
  const rows = await driver.execute('SELECT sum(n) AS stored FROM bench.counters');
  const stored = Number(rows.rows[0]?.stored);
  const isRight = failures === 0 ? stored === acknowledged : stored >= acknowledged;
  if (!isRight)
    throw new Error(
      `${acknowledged} updates were acknowledged (${failures} failed) but ${stored} are stored`,
    );
}
