import { describe, expect, it } from 'vitest';
import { Writes } from '../../../node/quorum/writes.js';
import type { Entry } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { shardEntry, World, type WorldOptions } from './world.js';

async function writing(options: WorldOptions = {}) {
  const world = await World.open(options);
  const hints: [nodeId: string, entries: readonly Entry[]][] = [];
  const writes = new Writes(world.node('a').context, (id, entries) => void hints.push([id, entries]));
  const write = (entries: Entry[], level: ConsistencyLevel = 'QUORUM', timeoutMs = 1_000) =>
    writes.write(entries, { level, timeoutMs, ring: world.ring });
  return { world, hints, write };
}

const one = [shardEntry({})];
const done = { failures: [] };

describe('writes', () => {
  it('sends each replica one message, and acknowledges when the level is met', async () => {
    const { world, hints, write } = await writing();
    world.fate = ({ to }) => (to === 'c' ? { delayMs: 100 } : undefined);
    const entries = [shardEntry({ key: 'x' }), shardEntry({ key: 'y' })];
    expect(await world.time.settle(write(entries), 50)).toEqual(done);
    expect(world.calls.map(({ to }) => to).sort()).toEqual(['b', 'c']);
    await world.time.run(200);
    expect(await world.node('c').entries()).toHaveLength(2); // the slow one gets it too, and no hint
    expect(hints).toEqual([]);
  });

  it('sends nothing where too few replicas are live, not even hints', async () => {
    const { world, hints, write } = await writing();
    world.down.add('b').add('c');
    const { failures } = await world.time.settle(write(one), 1);
    expect(failures).toMatchObject([
      {
        indexes: [0],
        error: { code: 'UNAVAILABLE', required: 2, received: 0, live: 1, mayHaveApplied: false },
      },
    ]);
    await world.time.run(2_000);
    expect(world.calls).toEqual([]);
    expect(hints).toEqual([]);
    expect(await world.node('a').entries()).toEqual([]);
  });

  it('keeps a hint for a replica that is down, silent, or refuses, and for no other', async () => {
    for (const trouble of ['down', 'silent', 'refused', new TallyringError('OVERLOADED', 'full')] as const) {
      const { world, hints, write } = await writing();
      if (trouble === 'down') world.down.add('b');
      else world.fate = ({ to }) => (to === 'b' ? trouble : undefined);
      expect(await world.time.settle(write(one))).toEqual(done);
      await world.time.run(2_000);
      expect(hints).toEqual([['b', one]]);
    }
  });

  it('says at the deadline how many confirmed, and that it may be applied', async () => {
    const { world, hints, write } = await writing();
    world.fate = () => 'silent';
    const { failures } = await world.time.settle(write(one, 'QUORUM', 300), 300);
    expect(failures).toMatchObject([
      { error: { code: 'WRITE_TIMEOUT', required: 2, received: 1, mayHaveApplied: true, retryable: false } },
    ]);
    await world.time.run(1_000);
    expect(hints.map(([id]) => id).sort()).toEqual(['b', 'c']);
  });

  it('answers before the deadline when the level cannot be met any more', async () => {
    const { world, write } = await writing();
    world.fate = () => 'refused';
    const { failures } = await world.time.settle(write(one), 10);
    // Sent: it may be applied on this node, and not UNAVAILABLE, which callers retry.
    expect(failures).toMatchObject([{ error: { code: 'WRITE_TIMEOUT', mayHaveApplied: true } }]);
  });

  it('counts no answer that came after the deadline, not even after a pause', async () => {
    const { world, write } = await writing();
    let pausedMs = 0;
    const { time } = world;
    const { context } = world.node('a');
    context.clock = { wallMs: () => 0, monotonicMs: () => time.nowMs + pausedMs };
    world.fate = () => ({ delayMs: 10 });
    const reply = write(one, 'QUORUM', 1_000);
    await time.run(5);
    pausedMs = 5_000; // the process stood still: answers and timers are there at once, all of them late
    const { failures } = await time.settle(reply);
    expect(failures).toMatchObject([{ error: { code: 'WRITE_TIMEOUT', received: 1 } }]);
  });

  it('fails single keys, by their index in the whole request', async () => {
    const nodes = { a: 'dc1', b: 'dc1', c: 'dc1', d: 'dc1' };
    const { world, write } = await writing({ nodes, replication: { dc1: 2 } });
    world.down.add('b');
    const entries = Array.from({ length: 40 }, (_, i) => shardEntry({ key: `video-${i}` }));
    const onB = entries.flatMap((entry, i) =>
      world.ring.replicasOf(entry.key.readBigUInt64BE(6)).nodeIds.includes('b') ? [i] : [],
    );
    const { failures } = await world.time.settle(write(entries));
    expect(failures.flatMap(({ indexes }) => indexes).sort((x, y) => x - y)).toEqual(onB);
    expect(failures.every(({ error }) => error.code === 'UNAVAILABLE' && error.live === 1)).toBe(true);
    const held = await Promise.all(['a', 'c', 'd'].map((id) => world.node(id).entries()));
    const keys = new Set(held.flat().map(({ key }) => key.toString('hex')));
    expect(keys.size).toBe(entries.length - onB.length);
  });

  it('counts toward a level only the replicas that it names', async () => {
    const nodes = { a: 'east', b: 'east', c: 'west', d: 'west' };
    const { world, write } = await writing({ nodes, replication: { east: 2, west: 2 } });
    world.fate = ({ to }) => (to === 'b' ? 'silent' : undefined);
    const local = await world.time.settle(write(one, 'LOCAL_QUORUM', 300));
    expect(local.failures).toMatchObject([{ error: { code: 'WRITE_TIMEOUT', required: 2, received: 1 } }]);
    const each = await world.time.settle(write(one, 'EACH_QUORUM', 300));
    expect(each.failures).toMatchObject([{ error: { code: 'WRITE_TIMEOUT', required: 4, received: 3 } }]);
    expect(await world.time.settle(write(one, 'QUORUM', 300))).toEqual(done);
    world.down.add('c').add('d');
    const unavailable = await world.time.settle(write(one, 'EACH_QUORUM', 300));
    expect(unavailable.failures).toMatchObject([{ error: { code: 'UNAVAILABLE', required: 4, live: 2 } }]);
  });

  it('tells what a replica said of its newest batch, and leaves no timer behind', async () => {
    const { world, write } = await writing();
    await world.time.settle(write(one));
    await world.time.run(10);
    const { store } = world.node('b').opened;
    expect(world.node('a').heard).toContainEqual({
      nodeId: 'b',
      storeId: store.storeId,
      batch: store.syncedBatch,
    });
    const events = world.time.events;
    await world.time.run(10_000);
    expect(world.time.events).toBe(events);
  });
});
