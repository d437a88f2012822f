import { describe, expect, it } from 'vitest';
import { Mint } from '../../../node/mint.js';
import { PlainCounting } from '../../../node/quorum/plain-counting.js';
import { Writes } from '../../../node/quorum/writes.js';
import type { Outcome } from '../../../proto/calls.js';
import { decodeShard } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { World, type WorldOptions } from './world.js';

async function counting(options: WorldOptions = {}) {
  const world = await World.open(options);
  const { context } = world.node('a');
  const mint = new Mint({
    clock: context.clock,
    random: new SeededRandom(1),
    membership: context.membership,
  });
  const minted: Buffer[] = [];
  const plain = new PlainCounting({
    context,
    writes: new Writes(context, () => undefined),
    rollups: ['total'],
    mint: (above) => {
      minted.push(mint.mint('node', above));
      return minted.at(-1)!;
    },
  });
  const increment = async (key: string, level: ConsistencyLevel = 'QUORUM', timeoutMs = 1_000) =>
    (await plain.increment([{ key, eventType: 'view', value: 1 }], level, timeoutMs))[0]!;
  /** Events of a key as a node holds them. */
  const counted = async (nodeId: string, key: string) => {
    const entries = (await world.node(nodeId).entries()).filter((e) =>
      e.key.includes(Buffer.from(`${key}\x04view`)),
    );
    return entries.reduce((sum, entry) => sum + Number(decodeShard(entry.value).count), 0);
  };
  return { world, plain, increment, counted, minted };
}

const errorOf = (outcome: Outcome<null>) => ('error' in outcome ? outcome.error : undefined);

describe('plain counting', () => {
  it('collects what arrives within the collecting time into one flush', async () => {
    const { world, increment, counted } = await counting();
    const all = Promise.all([increment('v'), increment('v'), increment('w')]);
    expect(await world.time.settle(all)).toEqual([{ ok: null }, { ok: null }, { ok: null }]);
    expect(await counted('a', 'v')).toBe(2);
    expect(world.calls.filter(({ kind }) => kind === 'merge')).toHaveLength(2); // one message to each other replica
  });

  it('takes nothing in when the level cannot be reached', async () => {
    const { world, increment, plain, counted } = await counting();
    world.down.add('b').add('c');
    const error = errorOf(await world.time.settle(increment('v')));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', required: 2, live: 1, mayHaveApplied: false });
    expect(world.calls).toHaveLength(0);
    expect(await world.time.settle(increment('v', 'ONE'))).toEqual({ ok: null });
    expect(await counted('a', 'v')).toBe(1);
    await plain.close();
    expect(errorOf(await increment('v'))).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
  });

  it('never says that a taken increment was not applied, nor UNAVAILABLE', async () => {
    const { world, increment } = await counting();
    const doubt = increment('v');
    world.down.add('b').add('c'); // after the check
    expect(errorOf(await world.time.settle(doubt, 100))).toMatchObject({
      code: 'WRITE_TIMEOUT',
      mayHaveApplied: true,
      retryable: false,
    });
    world.down.clear();
    world.fate = ({ kind }) => (kind === 'merge' ? new TallyringError('OVERLOADED', 'full') : undefined);
    expect(errorOf(await world.time.settle(increment('w')))).toMatchObject({
      code: 'WRITE_TIMEOUT',
      mayHaveApplied: true,
    });
  });

  it('tries again until the deadline, and counts once', async () => {
    const { world, increment, counted } = await counting();
    world.fate = ({ sent }) => (sent < 6 ? new TallyringError('OVERLOADED', 'full') : undefined);
    expect(await world.time.settle(increment('v'))).toEqual({ ok: null });
    expect(await counted('b', 'v')).toBe(1);
  });

  it('flushes what callers gave up on, without being asked', async () => {
    const { world, increment, counted } = await counting();
    world.fate = ({ kind }) => (kind === 'merge' ? 'silent' : undefined);
    expect(errorOf(await world.time.settle(increment('v')))).toMatchObject({ code: 'WRITE_TIMEOUT' });
    world.fate = () => undefined;
    await world.time.run(world.time.nowMs + 3_000);
    expect(await counted('b', 'v')).toBe(1);
    expect(await counted('c', 'v')).toBe(1);
  });

  describe('several levels at once', () => {
    it('acknowledges at every level what one flush of the strongest took', async () => {
      const { world, increment, counted } = await counting();
      const levels: ConsistencyLevel[] = ['QUORUM', 'ONE', 'ALL', 'LOCAL_QUORUM', 'TWO'];
      const startMs = world.time.nowMs;
      const all = Promise.all(levels.map((level) => increment('v', level, 5_000)));
      expect(await world.time.settle(all)).toEqual(levels.map(() => ({ ok: null })));
      expect(world.time.nowMs - startMs).toBeLessThan(500);
      expect(await counted('c', 'v')).toBe(levels.length);
    });

    it('does not take the acknowledgement of a weaker level for that of a stronger', async () => {
      const { world, increment } = await counting();
      // ONE is acknowledged by this node alone, long before the others answer.
      world.fate = ({ kind }) => (kind === 'merge' ? 'silent' : undefined);
      const one = increment('v', 'ONE', 500);
      const quorum = increment('v', 'QUORUM', 500);
      expect(await world.time.settle(one)).toEqual({ ok: null });
      expect(errorOf(await world.time.settle(quorum))).toMatchObject({
        code: 'WRITE_TIMEOUT',
        mayHaveApplied: true,
      });
    });

    it('holds no level up by what another has under way', async () => {
      const { world, increment } = await counting();
      world.fate = ({ kind, to }) => (kind === 'merge' && to !== 'b' ? 'silent' : undefined);
      const all = increment('v', 'ALL', 5_000);
      await world.time.run(world.time.nowMs + 100);
      for (const level of ['QUORUM', 'ONE'] as const) {
        expect(await world.time.settle(increment('v', level), 100)).toEqual({ ok: null });
      }
      expect(errorOf(await world.time.settle(all))).toMatchObject({ required: 3, received: 2 });
    });
  });

  it('sends no message above the limit of one, however much waits', async () => {
    const limits = { maxBatchBytes: 20_000, maxQueriesPerCall: 10_000 };
    const { world, plain } = await counting({ limits });
    const requests = Array.from({ length: 600 }, (_, i) => ({
      key: `video-${i}`,
      eventType: 'view',
      value: 1,
    }));
    const outcomes = await world.time.settle(plain.increment(requests, 'QUORUM', 5_000));
    expect(outcomes.every((outcome) => 'ok' in outcome)).toBe(true);
    await world.time.run(world.time.nowMs + 100); // the third replica
    expect(Math.max(...world.calls.map((call) => call.batchBytes))).toBeLessThanOrEqual(limits.maxBatchBytes);
    expect(await world.node('b').entries()).toHaveLength(600);
  });

  it('waits without spinning when no time is given to collecting', async () => {
    const { world, increment } = await counting({ limits: { incrementCollectMs: 0 } });
    world.fate = ({ kind }) => (kind === 'merge' ? { delayMs: 200 } : undefined);
    const both = Promise.all([increment('v', 'ALL'), increment('v', 'QUORUM')]);
    const ran = await world.time.runUntil(() => world.time.events > 2_000, 1_000);
    expect(ran).toBe(false);
    expect(await both).toEqual([{ ok: null }, { ok: null }]);
  });

  it('refuses beyond the bound of pending increments, before anything is counted', async () => {
    const { world, increment, counted } = await counting({ limits: { maxPendingIncrements: 2 } });
    const taken = [increment('v'), increment('v')];
    expect(errorOf(await increment('v'))).toMatchObject({ code: 'OVERLOADED', mayHaveApplied: false });
    await world.time.settle(Promise.all(taken));
    expect(await world.time.settle(increment('v'))).toEqual({ ok: null });
    expect(await counted('a', 'v')).toBe(3);
  });

  it('rolls to a younger id when its memory is full, and loses nothing', async () => {
    const { world, increment, counted, minted } = await counting({ limits: { maxProducerCells: 10 } });
    for (let i = 0; i < 40; i++) {
      expect(await world.time.settle(increment(`video-${i % 20}.`))).toEqual({ ok: null });
      await world.time.run(world.time.nowMs + 300);
    }
    expect(minted.length).toBeGreaterThan(2);
    expect(minted.toSorted(Buffer.compare)).toEqual(minted);
    for (let i = 0; i < 20; i++) expect(await counted('b', `video-${i}.`)).toBe(2);
  });

  it('answers everybody who waits, and fires nothing more, after it was closed', async () => {
    const { world, plain, increment } = await counting();
    world.fate = ({ kind }) => (kind === 'merge' ? 'silent' : undefined);
    const waiting = increment('v');
    const closed = plain.close();
    expect(errorOf(await world.time.settle(waiting))).toMatchObject({ mayHaveApplied: true });
    await world.time.settle(closed, 1);
    await world.time.run(world.time.nowMs + 5_000);
    const calls = world.calls.length;
    const events = world.time.events;
    await world.time.run(world.time.nowMs + 60_000);
    expect(world.calls).toHaveLength(calls);
    expect(world.time.events).toBe(events);
  });
});
