import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reads } from '../../../node/quorum/reads.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import { decodeShard, type Entry } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { type Fate, shardEntry, totalOf, World, type WorldOptions } from './world.js';

async function reading(options: WorldOptions = {}, coordinator = 'a') {
  const world = await World.open(options);
  const { context } = world.node(coordinator);
  const reads = new Reads(context, (key, incoming, held) => mergeValues(key, held, incoming) === 'incoming');
  const hold = async (nodeId: string, sequence: number, key = 'video') => {
    await world.time.settle(world.node(nodeId).context.replica.merge([shardEntry({ key, sequence })]));
  };
  const read = async (level: ConsistencyLevel = 'QUORUM', timeoutMs = 1_000) =>
    (await reads.read([totalOf()], { level, timeoutMs, ring: world.ring }))[0]!;
  return { world, reads, hold, read };
}

const sequenceIn = (entries: readonly Entry[]) =>
  Math.max(0, ...entries.map((entry) => decodeShard(entry.value).sequence));
const ok = (entries: Entry[]) => ({ ok: entries });

describe('reads', () => {
  it('merges what a quorum holds and writes it back to the stale before it answers', async () => {
    const { world, hold, read } = await reading();
    await hold('a', 1);
    for (const id of ['b', 'c']) await hold(id, 3);
    expect(await world.time.settle(read())).toEqual(ok([shardEntry({ sequence: 3 })]));
    expect(sequenceIn(await world.node('a').entries())).toBe(3);
  });

  it('asks no more replicas than the level requires while they answer in time', async () => {
    const { world, hold, read } = await reading();
    await hold('a', 1);
    await world.time.settle(read('ONE'));
    expect(world.calls).toHaveLength(0);
    await world.time.settle(read('QUORUM'));
    expect(world.calls.filter(({ kind }) => kind === 'read')).toHaveLength(1);
  });

  it('fails at once where too few replicas are live, and says how many', async () => {
    const { world, read } = await reading();
    world.down.add('b').add('c');
    const outcome = await world.time.settle(read(), 1);
    expect(outcome).toMatchObject({ error: { code: 'UNAVAILABLE', required: 2, live: 1, received: 0 } });
    expect(outcome).toMatchObject({ error: { mayHaveApplied: false, retryable: true } });
  });

  it('sends a slow read to one more replica', async () => {
    const { world, hold, read } = await reading();
    for (const id of ['a', 'b', 'c']) await hold(id, 1);
    const slow = ({ sent, kind }: { sent: number; kind: string }) =>
      kind === 'read' && sent === 0 ? ('silent' as const) : undefined;
    world.fate = slow;
    const startMs = world.time.nowMs;
    expect(await world.time.settle(read())).toHaveProperty('ok');
    expect(world.time.nowMs - startMs).toBeLessThan(100);
    expect(world.calls.map(({ to }) => to).sort()).toEqual(['b', 'c']);
  });

  it('asks the next one when a replica fails, is not whole, or finds its row damaged', async () => {
    for (const trouble of ['fails', 'not whole'] as const) {
      const { world, hold, read } = await reading();
      for (const id of ['a', 'b', 'c']) await hold(id, 2);
      const first = 'b';
      if (trouble === 'not whole') world.node(first).whole = false;
      else world.fate = ({ to }) => (to === first ? new TallyringError('OVERLOADED', 'full') : undefined);
      expect(await world.time.settle(read(), 40)).toEqual(ok([shardEntry({ sequence: 2 })]));
    }
  });

  it('counts no replica that is not whole, but at ONE', async () => {
    const { world, hold, read } = await reading();
    await hold('a', 1);
    for (const id of ['a', 'b']) world.node(id).whole = false;
    expect(await world.time.settle(read())).toMatchObject({
      error: { code: 'UNAVAILABLE', required: 2, received: 1 },
    });
    world.down.add('b').add('c');
    expect(await world.time.settle(read('ONE'))).toEqual(ok([shardEntry({ sequence: 1 })]));
  });

  it('answers READ_TIMEOUT at the deadline, and asks nobody from then on', async () => {
    const { world, read } = await reading();
    world.fate = ({ kind }) => (kind === 'read' ? 'silent' : undefined);
    const startMs = world.time.nowMs;
    const outcome = await world.time.settle(read('ALL', 30));
    expect(outcome).toMatchObject({ error: { code: 'READ_TIMEOUT', required: 3, received: 1 } });
    await world.time.run(world.time.nowMs + 1_000);
    expect(world.calls.every(({ atMs }) => atMs < startMs + 30)).toBe(true);
  });

  it('asks no spare replica once the deadline has passed', async () => {
    const { world, read } = await reading();
    world.fate = ({ kind }) => (kind === 'read' ? 'silent' : undefined);
    const startMs = world.time.nowMs;
    // The deadline comes before the first speculation (50 ms without experience).
    expect(await world.time.settle(read('QUORUM', 30))).toMatchObject({ error: { code: 'READ_TIMEOUT' } });
    await world.time.run(world.time.nowMs + 1_000);
    expect(world.calls.map(({ atMs }) => atMs)).toEqual([startMs]);
  });

  it('does not answer what too few of those that answered are known to hold', async () => {
    const { world, hold, read } = await reading();
    await hold('a', 5); // an increment at ONE, or one still under way
    // The first other replica answers late, the spare one takes nothing back.
    let first: string | undefined;
    world.fate = ({ to, kind }) => {
      if (kind === 'merge') return { delayMs: 500 };
      if (kind !== 'read') return undefined;
      first ??= to;
      return to === first ? { delayMs: 100 } : { delayMs: 5 };
    };
    const outcome = read('QUORUM', 300); // the late answer comes while the write-back is under way
    const settled = await world.time.settle(outcome);
    expect(settled).toMatchObject({ error: { code: 'READ_TIMEOUT' } });

    const again = await reading();
    await again.hold('a', 5);
    let slow: string | undefined;
    again.world.fate = ({ to, kind }) => {
      if (kind === 'merge') return { delayMs: 100 };
      if (kind !== 'read') return undefined;
      slow ??= to;
      return to === slow ? { delayMs: 100 } : { delayMs: 5 };
    };
    // As before, but the write-back fails soon after the late answer, long before the deadline.
    const refusing = again.read('QUORUM', 5_000);
    await again.world.time.run(again.world.time.nowMs + 80);
    const spare = slow === 'b' ? 'c' : 'b';
    await again.world.node(spare).opened.store.close();
    expect(await again.world.time.settle(refusing)).toMatchObject({ error: { code: 'UNAVAILABLE' } });
  });

  it('counts only answers of the datacenters that the level asks for', async () => {
    const nodes = { a: 'east', b: 'east', c: 'west', d: 'west' };
    const { world, read } = await reading({ nodes, replication: { east: 2, west: 2 } });
    world.down.add('b');
    expect(await world.time.settle(read('LOCAL_QUORUM'))).toMatchObject({
      error: { code: 'UNAVAILABLE', required: 2, live: 1 },
    });
    expect(await world.time.settle(read('EACH_QUORUM'))).toMatchObject({
      error: { code: 'UNAVAILABLE', required: 4, live: 3 },
    });
    expect(await world.time.settle(read('QUORUM'))).toEqual(ok([]));
    world.down.clear();
    world.down.add('c').add('d');
    world.calls.length = 0;
    expect(await world.time.settle(read('LOCAL_QUORUM'))).toEqual(ok([]));
    expect(world.calls.map(({ to }) => to)).toEqual(['b']);
  });

  it('never goes backwards, whatever the replicas hold and lose of the messages', async () => {
    const fates = fc.array(
      fc.constantFrom<Fate[]>(
        'silent' as const,
        'refused' as const,
        { delayMs: 1 },
        { delayMs: 60 },
        { delayMs: 150 },
      ),
      { minLength: 1, maxLength: 30 },
    );
    const held = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 3, maxLength: 3 });
    const readers = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 2, maxLength: 6 });
    const check = async (list: Fate[], sequences: number[], from: string[]) => {
      const world = await World.open();
      for (const [i, id] of ['a', 'b', 'c'].entries()) {
        const sequence = sequences[i]!;
        if (sequence > 0) {
          await world.time.settle(world.node(id).context.replica.merge([shardEntry({ sequence })]));
        }
      }
      world.fate = ({ sent }) => list[sent % list.length];
      let newest = 0;
      for (const id of from) {
        const reads = new Reads(
          world.node(id).context,
          (k, incoming, old) => mergeValues(k, old, incoming) === 'incoming',
        );
        const options = { level: 'QUORUM', timeoutMs: 400, ring: world.ring } as const;
        const [outcome] = await world.time.settle(reads.read([totalOf()], options));
        if (!('ok' in outcome!)) continue;
        const seen = sequenceIn(outcome.ok);
        expect(seen).toBeGreaterThanOrEqual(newest);
        newest = seen;
      }
    };
    await fc.assert(fc.asyncProperty(fates, held, readers, check), { numRuns: 40, seed: 3 });
  });
});
