import { createRequire } from 'node:module';
import { freemem } from 'node:os';
import { join } from 'node:path';
import type { BenchContext } from '../benchmark.js';
import { DRIVER_VERSION, installDriver, missingForCassandra, startCassandra } from '../cassandra/servers.js';
import { waitUntil } from '../processes.js';
import type { CallOutcome, Contestant, CountedEvent, Counting, System } from './system.js';

const NEEDED_GIB = 9;
const QUORUM = 4;
const ALL = 5;
const UP_TIMEOUT_MS = 120_000;
/** An empty table with a copy on each node. */
const PROBE = 'drift.probe';
const PAGE_ROWS = 1_000;
const COMMIT_LOG_SYNC = 'periodic';
const SETUP =
  `QUORUM, RF 3, commit log ${COMMIT_LOG_SYNC} (its default), requests time out after 10 s (its defaults: 2–5 s); ` +
  "token-aware driver without a retry policy (FallthroughRetryPolicy), reconnecting every second, else the driver's defaults";

/** Why Cassandra cannot run here, in words; undefined when it can. */
export function missingForPeer(): string | undefined {
  const missing = missingForCassandra();
  if (missing) return missing;
  const freeGiB = freemem() / 2 ** 30;
  if (freeGiB >= NEEDED_GIB) return undefined;
  return `three nodes need ${NEEDED_GIB} GiB of free memory; there are ${freeGiB.toFixed(1)}`;
}

/** As much of cassandra-driver as is used; the package itself is no dependency. */
interface Driver {
  hosts: { values(): unknown[] };
  connect(): Promise<void>;
  execute(query: string, parameters?: unknown[], options?: object): Promise<Rows>;
  shutdown(): Promise<void>;
}
interface Rows extends AsyncIterable<Record<string, unknown>> {
  rows: Record<string, unknown>[];
}

export interface CassandraPeer {
  system: System;
  contestants: Contestant[];
  versions: Record<string, string>;
}

/** Three Cassandra nodes and the two ways to count in them: failed calls are made again, or are not. */
export async function startCassandraPeer(
  context: Pick<BenchContext, 'peersFolder' | 'processes' | 'progress'>,
): Promise<CassandraPeer> {
  const driverFolder = await installDriver(context);
  const servers = await startCassandra(context, COMMIT_LOG_SYNC);
  const client = () => newClient(driverFolder, servers.contactPoints);
  const admin = client();
  const stop = async () => {
    await admin.shutdown();
    await servers.stop();
  };
  try {
    await admin.connect();
    await ddl(
      admin,
      "CREATE KEYSPACE drift WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}",
    );
    await ddl(admin, `CREATE TABLE ${PROBE} (key text PRIMARY KEY)`);
    await untilAllUp(admin);
    const { rows } = await admin.execute('SELECT release_version FROM system.local');
    const start = async (node: number) => {
      await servers.start(node);
      await untilAllUp(admin);
    };
    const contestant = (table: string, name: string, retries: boolean): Contestant => ({
      name,
      setup: SETUP,
      retries,
      open: () => openTable(table, client(), () => untilAllUp(admin)),
    });
    return {
      system: { kill: servers.kill, start, stop },
      contestants: [
        contestant('retried', 'Cassandra, failed calls retried', true),
        contestant('not_retried', 'Cassandra, not retried', false),
      ],
      versions: { cassandra: String(rows[0]?.release_version), 'cassandra-driver': DRIVER_VERSION },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function newClient(driverFolder: string, contactPoints: readonly string[]): Driver {
  const { Client, policies } = createRequire(join(driverFolder, 'package.json'))('cassandra-driver');
  return new Client({
    contactPoints,
    localDataCenter: 'datacenter1',
    queryOptions: { consistency: QUORUM, prepare: true },
    policies: {
      retry: new policies.retry.FallthroughRetryPolicy(),
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(1_000),
    },
  }) as Driver;
}

const ddl = (driver: Driver, statement: string) => driver.execute(statement, [], { prepare: false });

/** A read at ALL through each node succeeds only when that node sees all three up. */
async function untilAllUp(driver: Driver): Promise<void> {
  const query = `SELECT key FROM ${PROBE}`;
  await waitUntil('all Cassandra nodes see each other', UP_TIMEOUT_MS, async () => {
    const hosts = driver.hosts.values();
    if (hosts.length < 3) return false;
    try {
      for (const host of hosts) await driver.execute(query, [], { host, consistency: ALL });
      return true;
    } catch {
      return false;
    }
  });
}

async function openTable(table: string, driver: Driver, settle: () => Promise<void>): Promise<Counting> {
  await driver.connect();
  const name = `drift.${table}`;
  await ddl(
    driver,
    `CREATE TABLE ${name} (key text, event_type text, n counter, PRIMARY KEY ((key, event_type)))`,
  );
  const update = `UPDATE ${name} SET n = n + 1 WHERE key = ? AND event_type = ?`;
  return {
    async count({ key, eventType }: CountedEvent): Promise<CallOutcome> {
      try {
        await driver.execute(update, [key, eventType]);
        return 'acknowledged';
      } catch (error) {
        return outcomeOf(error as DriverError);
      }
    },
    settle,
    async totals() {
      const found = new Map<string, number>();
      const options = { consistency: ALL, fetchSize: PAGE_ROWS };
      const rows = await driver.execute(`SELECT key, event_type, n FROM ${name}`, [], options);
      for await (const row of rows) found.set(`${row.key}\t${row.event_type}`, Number(row.n));
      return found;
    },
    close: () => driver.shutdown(),
  };
}

interface DriverError extends Error {
  code?: number;
}

/** Cassandra's word that it did not start to write. Everything else may have been applied. */
const REFUSALS = new Map([
  [0x1000, 'Unavailable'],
  [0x1001, 'Overloaded'],
  [0x1002, 'IsBootstrapping'],
]);
const IN_DOUBT = new Map([
  [0x1100, 'WriteTimeout'],
  [0x1500, 'WriteFailure'],
]);

function outcomeOf({ code = -1, name, message }: DriverError): CallOutcome {
  const refusal = REFUSALS.get(code);
  if (refusal) return { failure: refusal, isRefused: true };
  const isSocket = /socket|ECONN|closed/i.test(message);
  return { failure: IN_DOUBT.get(code) ?? (isSocket ? 'connection lost' : name), isRefused: false };
}
