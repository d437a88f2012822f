import { describe, expect, it } from 'vitest';
import type { TallyringClient } from '../../../client/client.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import { EPOCH_WALL_MS } from '../../simulation/virtual-time.js';
import { type FakeCluster, type Fault, windowsOf } from './fake-cluster.js';
import { fakeCluster } from './open-client.js';

const FAULTS: Fault[] = [
  'none',
  'lostBefore',
  'lostAfter',
  'resetBefore',
  'resetAfter',
  'partial',
  'stale',
  'late',
];
const LEVELS: ConsistencyLevel[] = ['ONE', 'QUORUM', 'QUORUM', 'ALL', 'LOCAL_QUORUM'];
const KEYS = 7;

/** What the application counted, per cell. */
class Expected {
  /** Events of a key. */
  countOf(key: string): number {
    const name = JSON.stringify({ key, eventType: 'view', granularity: 'total', timestampMs: 0 });
    return this.cells.get(name)?.count ?? 0;
  }

  readonly cells = new Map<string, { count: number; sum: number; min: number; max: number }>();

  add(key: string, by: number, timestampMs: number): void {
    for (const query of windowsOf(timestampMs)) {
      const start = query.granularity === 'total' ? 0 : query.timestampMs - (query.timestampMs % 3_600_000);
      const at = query.granularity === 'day' ? start - (start % 86_400_000) : start;
      const name = JSON.stringify({
        key,
        eventType: 'view',
        granularity: query.granularity,
        timestampMs: at,
      });
      const cell = this.cells.get(name) ?? { count: 0, sum: 0, min: Infinity, max: -Infinity };
      cell.count++;
      cell.sum += by;
      cell.min = Math.min(cell.min, by);
      cell.max = Math.max(cell.max, by);
      this.cells.set(name, cell);
    }
  }
}

const PAIRS = [
  [0, 1],
  [1, 2],
  [0, 2],
];

/** An acknowledgement at QUORUM means that any two replicas know all that was counted before the call. */
function checkAcknowledged(cluster: FakeCluster, key: string, atLeast: number): void {
  for (const pair of PAIRS) {
    const nodes = pair.map((i) => cluster.nodes[i]!);
    expect(Number(cluster.value({ key, eventType: 'view' }, nodes).count)).toBeGreaterThanOrEqual(atLeast);
  }
}

/** Counts for a while in every way there is; gives back the promises of awaited increments. */
function feed(
  { client, cluster, usual }: { client: TallyringClient; cluster: FakeCluster; usual: ConsistencyLevel },
  random: SeededRandom,
  expected: Expected,
): Promise<void>[] {
  const waits: Promise<void>[] = [];
  for (let i = 0; i < 12; i++) {
    const key = `k${random.below(KEYS)}`;
    const by = random.below(2_000) - 500;
    const timestamp = EPOCH_WALL_MS - random.below(3) * 1_800_000;
    try {
      if (random.chance(0.5)) client.count(key, 'view', by, timestamp);
      else {
        const consistency = random.chance(0.3) ? random.pick(LEVELS) : undefined;
        const wait = client.increment(key, 'view', { by, timestamp, consistency, timeoutMs: 600_000 });
        const counted = expected.countOf(key) + 1;
        const atQuorum = (consistency ?? usual) !== 'ONE';
        waits.push(atQuorum ? wait.then(() => checkAcknowledged(cluster, key, counted)) : wait);
      }
      expected.add(key, by, timestamp);
    } catch (error) {
      // Refused, so not counted.
      if ((error as { code?: string }).code !== 'OVERLOADED') throw error;
    }
  }
  return waits;
}

async function schedule(seed: number, usual: ConsistencyLevel): Promise<void> {
  const { time, cluster, random, open } = fakeCluster(`schedule ${seed} ${usual}`);
  const faults = random.fork('faults');
  const client = await open({ consistency: usual, maxFlushCells: 1 + faults.below(40), maxCells: 60 });
  const expected = new Expected();
  const waits: Promise<void>[] = [];
  const badness = faults.next() * 0.8;
  cluster.faultOf = () => (faults.chance(badness) ? faults.pick(FAULTS) : 'none');
  for (let step = 0; step < 25; step++) {
    waits.push(...feed({ client, cluster, usual }, faults, expected));
    const node = faults.pick(cluster.nodes);
    node.state = faults.chance(0.7) ? 'up' : faults.pick(['refusing', 'stalled'] as const);
    if (faults.chance(0.1))
      cluster.description = { ...cluster.description, ringEpoch: cluster.description.ringEpoch + 1 };
    await time.run(time.nowMs + faults.below(400));
  }
  for (const node of cluster.nodes) node.state = 'up';
  cluster.faultOf = () => 'none';
  await time.settle(Promise.all([...waits, client.flush({ timeoutMs: 600_000 })]), 600_000);
  await time.settle(client.close({ timeoutMs: 600_000 }), 600_000);
  await time.run(time.nowMs + 60_000); // what is late arrives
  // ONE reaches one replica for certain; from QUORUM on any two replicas know it all.
  const groups =
    usual === 'ONE'
      ? [[0, 1, 2]]
      : [
          [0, 1],
          [1, 2],
          [0, 2],
        ];
  for (const [name, value] of expected.cells) {
    for (const group of groups) {
      const nodes = group.map((i) => cluster.nodes[i]!);
      expect(cluster.value(JSON.parse(name), nodes), `seed ${seed}: ${name}`).toEqual(value);
    }
  }
  expect(cluster.grandTotal(cluster.nodes)).toBe(
    [...expected.cells].reduce((sum, [name, cell]) => (name.includes('total') ? sum + cell.sum : sum), 0),
  );
}

describe('any schedule of faults', () => {
  it('ends in exactly what the application counted, at QUORUM', async () => {
    for (let seed = 1; seed <= 60; seed++) await schedule(seed, 'QUORUM');
  });

  it('and at ONE', async () => {
    for (let seed = 1; seed <= 20; seed++) await schedule(seed, 'ONE');
  });
});
