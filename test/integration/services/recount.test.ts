import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Shard } from '../../../counter/shard.js';
import type { EntryAddress } from '../../../proto/entry.js';
import { connectLog } from '../../../services/log/transport/client.js';
import { PROJECT, waitUntil } from '../../chaos/drill-cluster.js';
import { command } from './command.js';
import { tamper } from './tamper.js';

// Three nodes, the log and one processing service, as processes; their stores are tampered with while they are down.
const PORT = 25_900;
const PROCESSING = `http://127.0.0.1:${PORT + 5}`;
const BOUND_MS = 30_000;
const HOUR_MS = 3_600_000;
const folder = join(PROJECT, '.tallyring', 'drills', 'recount');
const configFile = join(folder, 'cluster.yml');
const NODES = ['n1', 'n2', 'n3'];
const KEYS = ['greater', 'lesser', 'everywhere', 'dropped', 'fine'];
/** At a full hour, so that windows are known. */
const START_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 30 * HOUR_MS;

const run = (words: string[]) => command([...words, '--config', configFile]);

async function must(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(words);
  if (code === 0) return stdout;
  throw new Error(`tallyring ${words.join(' ')} ended with ${code}: ${stderr}${stdout}`);
}

interface Answer {
  clean: boolean;
  totals: Record<string, number>;
  partitions: { refusal: { code: string; message: string } | null }[];
  found: {
    key: string;
    granularity: string;
    outcome: string;
    is: { count: number; sum: number };
    shouldBe: { count: number; sum: number };
    replicas: Record<string, { count: number; sum: number }>;
  }[];
}

async function recount(...more: string[]) {
  const { code, stdout, stderr } = await run(['recount', '--json', ...more]);
  if (stdout === '') throw new Error(`recount ended with ${code}: ${stderr}`);
  const answer = JSON.parse(stdout) as Answer;
  return { code, answer, refusals: answer.partitions.flatMap(({ refusal }) => refusal ?? []) };
}

let sent = 0;

/** Ten events of each key, of values 1 to 10, an hour apart. */
async function count(): Promise<void> {
  const events = KEYS.flatMap((videoId) =>
    Array.from({ length: 10 }, (_, i) => ({
      ...{ videoId, eventType: 'view', timestamp: START_MS + i * HOUR_MS, value: i + 1 },
      eventId: `${videoId}-${sent}-${i}`,
    })),
  );
  sent++;
  const answer = await fetch(`${PROCESSING}/processEvents`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ events }),
  });
  if (!answer.ok) throw new Error(`processEvents answered ${answer.status}: ${await answer.text()}`);
  await untilCounted();
}

async function untilCounted(): Promise<void> {
  let health: { partitions: { committed?: number }[] } | undefined;
  const isCounted = async () => {
    health = await fetch(`${PROCESSING}/health`).then((answer) => answer.json() as Promise<typeof health>);
    const log = await connectLog({ address: `127.0.0.1:${PORT + 3}` });
    try {
      const { partitions } = log.description;
      const ends = await Promise.all(
        Array.from({ length: partitions }, (_, i) => log.bounds(i, { timeoutMs: 1_000 })),
      );
      const { partitions: told } = health!;
      return told.length === partitions && ends.every(({ end }, i) => (told[i]!.committed ?? 0) === end);
    } finally {
      await log.close();
    }
  };
  await waitUntil('all is counted', BOUND_MS, isCounted).catch((error: Error) => {
    throw new Error(`${error.message}; health: ${JSON.stringify(health)}`);
  });
}

const totalOf = async (key: string) => JSON.parse(await must('get', key, 'view', '--json'));
const change = (nodeId: string, key: string, granularity: string, to: (shard: Shard) => Shard | null) =>
  tamper(
    join(folder, '.tallyring', nodeId, 'db'),
    (address: EntryAddress) => address.key === key && address.granularity === granularity,
    to,
  );
const more = (shard: Shard): Shard => ({
  ...shard,
  count: Number(shard.count) + 7,
  sum: Number(shard.sum) + 700,
});
const less = (shard: Shard): Shard => ({
  ...shard,
  count: Number(shard.count) - 3,
  sum: Number(shard.sum) - 9,
});

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const config = {
    cluster: 'recount',
    replication: { dc1: 3 },
    nodes: NODES.map((id, i) => ({ id, port: PORT + i })),
    // Where a replica differs is told only as long as the replicas do not repair each other.
    limits: { antiEntropyIntervalMs: 3_600_000 },
    services: {
      log: { port: PORT + 3, metricsPort: PORT + 4, partitions: 2 },
      processing: { flushIntervalMs: 100, instances: [{ name: 'p1', port: PORT + 5 }] },
      query: { port: PORT + 6 },
    },
  };
  writeFileSync(configFile, stringify(config));
  await must('cluster', 'up', '--detach');
  await waitUntil('the processing service answers', BOUND_MS, async () =>
    fetch(`${PROCESSING}/health`).then(
      () => true,
      () => false,
    ),
  );
});

afterAll(async () => {
  await run(['cluster', 'down']);
  rmSync(folder, { recursive: true, force: true });
});

describe('a recount', () => {
  it('finds nothing where nothing is wrong, and the counting goes on', async () => {
    await count();
    const { code, answer, refusals } = await recount();
    expect([refusals, code, answer.found]).toEqual([[], 0, []]);
    expect(answer).toMatchObject({ clean: true, totals: { records: 50, notWhole: 0, refused: 0 } });
    await count();
    expect(await totalOf('fine')).toMatchObject({ count: 20, sum: 110 });
  }, 60_000);

  it('finds what was tampered with in one replica and in all of them, says where, and mends it', async () => {
    await must('cluster', 'down');
    expect(await change('n2', 'greater', 'total', more)).toBeGreaterThan(0);
    expect(await change('n3', 'lesser', 'total', less)).toBeGreaterThan(0);
    for (const nodeId of NODES) {
      expect(await change(nodeId, 'everywhere', 'day', less)).toBeGreaterThan(0);
      expect(await change(nodeId, 'dropped', 'total', () => null)).toBeGreaterThan(0);
    }
    await must('cluster', 'up', '--detach');
    await untilCounted();

    const found = await recount();
    expect([found.refusals, found.code, found.answer.clean]).toEqual([[], 1, false]);
    const by = (key: string) => found.answer.found.filter((each) => each.key === key);
    // The greater count of a sequence wins everywhere: wrong now, and which replica had it is told.
    expect(by('greater')).toMatchObject([
      { granularity: 'total', outcome: 'wrong', shouldBe: { count: 20, sum: 110 } },
    ]);
    const [greater] = by('greater');
    expect(greater!.replicas.n2!.count).toBe(greater!.is.count);
    expect(greater!.replicas).toMatchObject({ n1: { count: 20, sum: 110 }, n3: { count: 20, sum: 110 } });
    // The lesser count loses: the replicas are equal again by being read.
    expect(by('lesser')).toMatchObject([
      { granularity: 'total', outcome: 'equalized', is: { count: 20, sum: 110 } },
    ]);
    expect(by('lesser')[0]!.replicas.n3!.count).toBeLessThan(20);
    expect(new Set(by('everywhere').map(({ granularity }) => granularity))).toEqual(new Set(['day']));
    expect(by('dropped')).toMatchObject([{ is: { count: 0, sum: 0 }, shouldBe: { count: 20, sum: 110 } }]);
    expect(by('fine')).toEqual([]);

    const one = await recount('--key', 'greater');
    expect(one.answer.found.map(({ key }) => key)).toEqual(['greater']);

    const repaired = await recount('--repair', '--max-cells', '25');
    expect([repaired.refusals, repaired.code, repaired.answer.totals.left]).toEqual([[], 0, 0]);
    expect(new Set(repaired.answer.found.map(({ outcome }) => outcome))).toEqual(new Set(['repaired']));
    const again = await recount();
    expect([again.refusals, again.code, again.answer.found]).toEqual([[], 0, []]);
    for (const key of KEYS) {
      expect(await totalOf(key)).toMatchObject({ count: 20, sum: 110, min: 1, max: 10 });
    }
  }, 120_000);

  it('leaves the counting exact', async () => {
    await count();
    for (const key of KEYS) expect(await totalOf(key)).toMatchObject({ count: 30, sum: 165 });
    const { code, stdout } = await run(['recount']);
    expect([code, stdout]).toEqual([0, expect.stringContaining('nothing is wrong')]);
  }, 60_000);

  it('leaves out what plain callers counted, and says so', async () => {
    await must('inc', 'fine', 'view');
    const { code, answer } = await recount('--key', 'fine');
    expect([code, answer.found]).toEqual([0, []]);
    expect(answer.totals.mixed).toBeGreaterThan(0);
  }, 60_000);

  it('compares at QUORUM while a replica is away', async () => {
    await must('cluster', 'kill', 'n3');
    const { code, answer, refusals } = await recount('--key', 'fine', '--repair');
    expect([refusals, code, answer.found]).toEqual([[], 0, []]);
    expect(answer.totals.atQuorum).toBe(answer.totals.cells);
  }, 120_000);
});
