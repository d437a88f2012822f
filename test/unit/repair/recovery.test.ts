import { describe, expect, it } from 'vitest';
import { Writes } from '../../../node/quorum/writes.js';
import { Exchange } from '../../../node/repair/exchange.js';
import { Recovery, type RecoveryParts } from '../../../node/repair/recovery.js';
import { Reentry } from '../../../node/repair/reentry.js';
import { shardEntry, World, type WorldOptions } from '../quorum/world.js';

const SECOND = 1_000;

async function restarted(options: WorldOptions = {}, parts: Partial<RecoveryParts> = {}) {
  const world = await World.open(options);
  const a = world.node('a');
  const { store } = a.opened;
  const put = (nodeId: string, key: string, sequence = 1) =>
    world.time.settle(world.node(nodeId).context.replica.merge([shardEntry({ key, sequence })]));
  for (let i = 0; i < 5; i++) await put('a', `old-${i}`);
  a.whole = false;
  const openedAtBatch = store.syncedBatch;
  const renewed: (readonly string[])[] = [];
  let declared = 0;
  const recovery = new Recovery({
    context: a.context,
    exchange: new Exchange(a.context, 1e9),
    reentry: new Reentry(a.context, a.registers.memory),
    openedAtBatch,
    doubts: [],
    declaredWhole: false,
    renewStore: async (reasons) => {
      renewed.push(reasons);
      await store.renew(reasons);
    },
    declareWhole: async (formerIds) => {
      declared++;
      await store.declareWhole(formerIds);
    },
    ...parts,
  });
  a.toldBatch = () => recovery.toldBatch;
  /** Another node remembers this store. */
  const remember = (nodeId: string, batch: number, storeId = store.storeId) =>
    world.node(nodeId).memory.heard('a', storeId, batch);
  const state = () => ({ renewed: renewed.length, declared });
  return { world, a, store, put, recovery, openedAtBatch, remember, renewed, state };
}

describe('recovery', () => {
  it('ends at once when every live other remembers no more than the store holds', async () => {
    const { world, recovery, remember, openedAtBatch, state } = await restarted();
    remember('b', openedAtBatch);
    const whole = await world.time.settle(recovery.run(), SECOND);
    expect(whole).toBe(true);
    expect(state()).toEqual({ renewed: 0, declared: 1 });
    expect(recovery.waitsFor).toBe('');
  });

  it('takes a remembered number that commits since the start have made for no rollback', async () => {
    const { world, a, recovery, store, openedAtBatch, state } = await restarted();
    // While the question is open, others write here and hear acknowledgements; their answers come late.
    world.fate = ({ kind }) => (kind === 'remembered' ? { delayMs: 1_500 } : undefined);
    const run = recovery.run();
    const writes = new Writes(world.node('b').context, () => undefined);
    for (let i = 0; i < 20; i++) {
      const entries = [shardEntry({ key: `new-${i}` })];
      const reply = writes.write(entries, { level: 'ALL', timeoutMs: 500, ring: world.ring });
      expect(await world.time.settle(reply)).toEqual({ failures: [] });
    }
    expect(store.syncedBatch).toBeGreaterThan(openedAtBatch);
    expect(world.node('b').memory.batchOf('a', store.storeId)).toBe(openedAtBatch);
    expect(await world.time.settle(run)).toBe(true);
    expect(state()).toEqual({ renewed: 0, declared: 1 });
    expect(a.api).toBeDefined();
    // From now on they hear the truth.
    const last = writes.write([shardEntry({ key: 'x' })], { level: 'ALL', timeoutMs: 500, ring: world.ring });
    await world.time.settle(last);
    expect(world.node('b').memory.batchOf('a', store.storeId)).toBe(store.syncedBatch);
  });

  it('finds a store that was rolled back although it caught up in numbers', async () => {
    const { world, recovery, store, openedAtBatch, remember, put, state, renewed } = await restarted();
    remember('b', openedAtBatch + 2);
    await put('c', 'lost');
    const former = store.storeId;
    world.fate = ({ kind }) => (kind === 'remembered' ? { delayMs: 1_500 } : undefined);
    const run = recovery.run();
    for (let i = 0; i < 5; i++) await put('a', `new-${i}`);
    expect(store.syncedBatch).toBeGreaterThan(openedAtBatch + 2);
    expect(await world.time.settle(run, 60 * SECOND)).toBe(true);
    expect(state()).toEqual({ renewed: 1, declared: 1 });
    expect(renewed[0]![0]).toContain(`remembers batch ${openedAtBatch + 2}`);
    expect(store.storeId).not.toBe(former);
    expect(await world.node('a').content()).toEqual(expect.arrayContaining(await world.node('c').content()));
  });

  it('takes a store for lost when another one of this node is remembered', async () => {
    const { world, recovery, remember, state } = await restarted();
    remember('c', 0, 'another');
    await world.time.settle(recovery.run(), 60 * SECOND);
    expect(state()).toEqual({ renewed: 1, declared: 1 });
  });

  it('does not ask the former process twice, nor wait for those that are down', async () => {
    const { world, recovery, state } = await restarted();
    world.down.add('c');
    await world.time.settle(recovery.run(), SECOND);
    expect(world.calls.filter(({ kind }) => kind === 'remembered').map(({ to }) => to)).toEqual(['b']);
    expect(state()).toEqual({ renewed: 0, declared: 1 });
  });

  it('waits for one other replica at least, and says so', async () => {
    const { world, recovery, state } = await restarted();
    world.down.add('b').add('c');
    const run = recovery.run();
    await world.time.run(world.time.nowMs + 60 * SECOND);
    expect(state()).toEqual({ renewed: 0, declared: 0 });
    expect(recovery.waitsFor).toContain('b, c');
    expect(world.calls).toHaveLength(0);
    world.down.delete('b');
    await world.time.settle(run, SECOND);
    expect(state()).toEqual({ renewed: 0, declared: 1 });
  });

  it('is over at once for a whole cluster that restarts, and for a node that is alone', async () => {
    const { world, recovery } = await restarted();
    for (const id of ['b', 'c']) world.node(id).whole = false; // starting as well, and answering
    expect(await world.time.settle(recovery.run(), SECOND)).toBe(true);

    const alone = await restarted({ nodes: { a: 'dc1' }, replication: { dc1: 1 } });
    expect(await alone.world.time.settle(alone.recovery.run(), 1)).toBe(true);
    expect(alone.state()).toEqual({ renewed: 0, declared: 1 });
  });

  it('takes a store that was renewed and is whole again for whole, though a peer remembers what it was called', async () => {
    const { world, store, recovery, remember, state } = await restarted();
    const former = store.storeId;
    await world.time.settle(store.renew(['a gap']));
    await world.time.settle(store.declareWhole());
    remember('b', 500, former);
    remember('c', 1);
    expect(await world.time.settle(recovery.run(), SECOND)).toBe(true);
    expect(state().renewed).toBe(0);
  });

  it('learns from the others what a wiped node was called, so that its next start is no doubt', async () => {
    const { world, store, recovery, remember } = await restarted({}, { doubts: ['the store is new'] });
    remember('b', 500, 'before-the-wipe');
    expect(await world.time.settle(recovery.run(), 60 * SECOND)).toBe(true);
    expect(store.formerStoreIds).toContain('before-the-wipe');
  });

  it('waits for the longest request, then merges from enough others that are whole', async () => {
    const { world, recovery, put } = await restarted({}, { doubts: ['a gap'] });
    await put('b', 'only-b');
    await put('c', 'only-c');
    world.node('c').whole = false;
    const run = recovery.run();
    const { maxRequestMs } = world.limits;
    await world.time.run(world.time.nowMs + maxRequestMs - 1);
    expect(recovery.waitsFor).toMatch(/\(step 1 of 3\)$/);
    expect(world.calls.filter(({ kind }) => kind === 'leafEntries')).toHaveLength(0);
    await world.time.run(world.time.nowMs + 10 * SECOND);
    expect(recovery.waitsFor).toMatch(/^registers: 2 of (b, c|c, b) /);
    expect(recovery.waitsFor).toContain('left: c');
    world.node('c').whole = true;
    expect(await world.time.settle(run, SECOND)).toBe(true);
    const content = await world.node('a').content();
    for (const id of ['b', 'c']) {
      expect(content).toEqual(expect.arrayContaining(await world.node(id).content()));
    }
  });

  it('tells how much it has merged from whom', async () => {
    const { world, recovery, put } = await restarted({}, { doubts: ['a gap'] });
    await put('b', 'only-b');
    await put('b', 'only-b-2');
    let refusals = 0;
    // The second replica fails in the merge, again and again: it is waited for.
    world.fate = ({ to, kind }) =>
      to === 'c' && kind === 'leafEntries' && ++refusals > 0 ? 'refused' : undefined;
    const run = recovery.run();
    await world.time.run(world.time.nowMs + world.limits.maxRequestMs + 2 * SECOND);
    expect(refusals).toBeGreaterThan(1);
    expect(recovery.waitsFor).toMatch(
      /left: c \(step 3 of 3\); b: 2 entries compared, 2 pulled; c: 0 entries compared, 0 pulled$/,
    );
    world.fate = () => undefined;
    expect(await world.time.settle(run, 10 * SECOND)).toBe(true);
    expect(recovery.waitsFor).toBe('');
  });

  it('goes on when a replica fails in the middle', async () => {
    const { world, recovery, put } = await restarted({}, { doubts: ['a gap'] });
    await put('b', 'only-b');
    let failures = 3;
    world.fate = ({ kind }) => (kind === 'fetch' && failures-- > 0 ? 'refused' : undefined);
    expect(await world.time.settle(recovery.run(), 60 * SECOND)).toBe(true);
    expect(failures).toBeLessThan(0);
    expect(await world.node('a').content()).toEqual(expect.arrayContaining(await world.node('b').content()));
  });

  it('says when only an operator can help', async () => {
    const nodes = { a: 'dc1' };
    const { world, recovery } = await restarted({ nodes, replication: { dc1: 1 } }, { doubts: ['a gap'] });
    void recovery.run();
    await world.time.run(60 * SECOND);
    expect(recovery.waitsFor).toContain('--accept-loss');
    recovery.stop();
  });

  it('gives a store whose loss was accepted a new identity, so that nobody waits for the old one', async () => {
    const accepted = await restarted({}, { doubts: ['a gap'], lossAccepted: true });
    const former = accepted.store.storeId;
    accepted.remember('b', accepted.openedAtBatch + 50);
    accepted.world.down.add('c');
    expect(await accepted.world.time.settle(accepted.recovery.run(), SECOND)).toBe(true);
    expect(accepted.state()).toEqual({ renewed: 1, declared: 1 });
    expect(accepted.store.storeId).not.toBe(former);
  });

  it('says that the store is not whole when it is stopped before', async () => {
    for (const doubts of [[], ['a gap']]) {
      const { world, recovery, state } = await restarted({}, { doubts });
      world.down.add('b').add('c');
      const run = recovery.run();
      await world.time.run(world.time.nowMs + 20 * SECOND);
      recovery.stop();
      expect(await world.time.settle(run, SECOND)).toBe(false);
      expect(state().declared).toBe(0);
      const { events } = world.time;
      await world.time.run(world.time.nowMs + 60 * SECOND);
      expect(world.time.events).toBe(events);
    }
  });
});
