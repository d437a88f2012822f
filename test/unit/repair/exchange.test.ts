import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Exchange } from '../../../node/repair/exchange.js';
import { LeafSet, leafOf } from '../../../node/repair/hash-tree.js';
import { encodeColumn } from '../../../proto/column.js';
import type { Entry } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import { encodeBody } from '../../../proto/peer-message.js';
import { encodeRegister } from '../../../proto/register.js';
import { shardEntry, World } from '../quorum/world.js';

const many = (count: number, from = 0, sequence = 1): Entry[] =>
  Array.from({ length: count }, (_, i) => shardEntry({ key: `video-${from + i}`, sequence }));

async function pair() {
  const world = await World.open();
  const put = async (nodeId: string, entries: Entry[]) => {
    if (entries.length > 0) await world.time.settle(world.node(nodeId).context.replica.merge(entries));
  };
  const run = (leaves = LeafSet.all(), perSecond = 1e9) =>
    world.time.settle(new Exchange(world.node('a').context, perSecond).run('b', leaves), 3_600_000);
  return { world, put, run };
}

describe('exchange', () => {
  it('makes both replicas hold the newest of what either held', async () => {
    const state = fc.dictionary(fc.integer({ min: 0, max: 60 }).map(String), fc.integer({ min: 1, max: 3 }));
    const entriesOf = (held: Record<string, number>) =>
      Object.entries(held).map(([key, sequence]) => shardEntry({ key, sequence }));
    await fc.assert(
      fc.asyncProperty(state, state, async (ofA, ofB) => {
        const { world, put, run } = await pair();
        await put('a', entriesOf(ofA));
        await put('b', entriesOf(ofB));
        const keys = [...new Set([...Object.keys(ofA), ...Object.keys(ofB)])];
        const newer = (a?: number, b?: number) => (a ?? 0) > (b ?? 0);
        const result = await run();
        expect(result.pushed).toBe(keys.filter((key) => newer(ofA[key], ofB[key])).length);
        // Also what both hold and this node has newer is looked at: its hash does not say which is newer.
        expect(result.pulled).toBe(keys.filter((key) => ofB[key] && ofA[key] !== ofB[key]).length);
        const wanted = entriesOf(
          Object.fromEntries(keys.map((key) => [key, Math.max(ofA[key] ?? 0, ofB[key] ?? 0)])),
        );
        const twin = wanted.map(({ key, value }) => `${key.toString('hex')}=${value.toString('hex')}`).sort();
        expect(await world.node('a').content()).toEqual(twin);
        expect(await world.node('b').content()).toEqual(twin);
      }),
      { numRuns: 25, seed: 1 },
    );
  });

  it('goes on over pages, whoever holds more', async () => {
    for (const [ofA, ofB] of [
      [many(4_500), many(3_000, 3_000, 2)],
      [many(2_000), many(2_000)],
      [many(1), many(4_001)],
      [many(4_001), []],
      [[], many(4_000)],
    ] as const) {
      const { world, put, run } = await pair();
      await put('a', ofA as Entry[]);
      await put('b', ofB as Entry[]);
      await run();
      const content = await world.node('a').content();
      expect(content).toHaveLength(new Set([...ofA, ...ofB].map(({ key }) => key.toString('hex'))).size);
      expect(await world.node('b').content()).toEqual(content);
    }
  });

  it('moves no more in a second than it may, also where the peer holds nothing', async () => {
    const { world, put, run } = await pair();
    await put('a', many(10_000));
    const startMs = world.time.nowMs;
    const { pushed } = await run(LeafSet.all(), 1_000);
    expect(pushed).toBe(10_000);
    // All pages but the last are paid for.
    expect(world.time.nowMs - startMs).toBeGreaterThan(7_000);
  });

  it('touches the wanted leaves only', async () => {
    const { world, put, run } = await pair();
    const entries = many(300);
    await put('a', entries.slice(0, 150));
    await put('b', entries.slice(150));
    const leaves = new LeafSet();
    for (const { key } of entries.filter((_, i) => i % 7 === 0)) leaves.add(leafOf(key));
    await run(leaves);
    const wanted = entries.filter(({ key }, i) => i < 150 || leaves.has(leafOf(key))).length;
    expect(await world.node('a').entries()).toHaveLength(wanted);
  });

  it('moves only what both replicate, where nodes share only part of it', async () => {
    const nodes = Object.fromEntries('abcdef'.split('').map((id) => [id, 'dc1']));
    const world = await World.open({ nodes, replication: { dc1: 2 } });
    const holders = (entry: Entry) => world.ring.replicasOf(entry.key.readBigUInt64BE(6)).nodeIds;
    const entries = many(400);
    const of = (id: string) => entries.filter((entry) => holders(entry).includes(id));
    await world.time.settle(world.node('a').context.replica.merge(of('a').filter((_, i) => i % 2 === 0)));
    await world.time.settle(world.node('b').context.replica.merge(of('b').filter((_, i) => i % 3 === 0)));
    const before = { a: await world.node('a').content(), b: await world.node('b').content() };
    await world.time.settle(new Exchange(world.node('a').context, 1e9).run('b', LeafSet.all()));
    const shared = new Set(
      of('a')
        .filter((entry) => holders(entry).includes('b'))
        .map(({ key }) => key.toString('hex')),
    );
    const ofShared = async (id: string) =>
      (await world.node(id).content()).filter((line) => shared.has(line.split('=')[0]!));
    expect(await ofShared('a')).toEqual(await ofShared('b'));
    for (const id of ['a', 'b'] as const) {
      const others = (lines: string[]) => lines.filter((line) => !shared.has(line.split('=')[0]!));
      expect(others(await world.node(id).content())).toEqual(others(before[id]));
    }
  });

  it('brings the last writer’s columns to both, beside what else lies under their key', async () => {
    const { world, put, run } = await pair();
    const column = (name: string, timeMs: number, text: string | null) =>
      encodeColumn('video', { name, timeMs, logical: 0, writer: Buffer.alloc(16, 1), text });
    const record = encodeRegister('video', { epoch: 1, write: 1, quorum: [], value: Buffer.from('r') });
    const newest = [column('title', 5, 'new'), column('channel', 7, null), column('n', 1, 'only a')];
    await put('a', [newest[0]!, column('channel', 6, 'gone'), newest[2]!, record]);
    await put('b', [column('title', 4, 'old'), newest[1]!, ...many(1)]);
    await run();
    const expected = [...newest, record, ...many(1)].map(({ key, value }) => [key, value]);
    for (const id of ['a', 'b']) {
      const held = (await world.node(id).entries()).map(({ key, value }) => [key, value]);
      expect(held).toHaveLength(expected.length);
      expect(held).toEqual(expect.arrayContaining(expected));
    }
  });

  it('says that the peer was not whole, if it was not in any page', async () => {
    const { world, put, run } = await pair();
    await put('b', many(4_500));
    expect((await run()).whole).toBe(true);
    world.fate = ({ kind, to }) => {
      const pages = world.calls.filter((call) => call.kind === 'leafEntries').length;
      if (kind === 'leafEntries') world.node(to).whole = pages !== 5;
      return undefined;
    };
    expect((await run()).whole).toBe(false);
  });

  it('rejects when the peer does not answer', async () => {
    const { world, put, run } = await pair();
    await put('b', many(10));
    world.fate = ({ kind }) => (kind === 'fetch' ? new TallyringError('OVERLOADED', 'full') : undefined);
    await expect(run()).rejects.toMatchObject({ code: 'OVERLOADED' });
  });

  it('moves no more at once than a message holds', async () => {
    const limits = { maxBatchBytes: 64 * 1024 };
    const world = await World.open({ limits });
    const records = (from: number) =>
      Array.from({ length: 60 }, (_, i) =>
        encodeRegister(`register-${from + i}`, {
          epoch: 1,
          write: 1,
          quorum: [],
          value: Buffer.alloc(16 * 1024),
        }),
      );
    await world.time.settle(world.node('b').context.replica.merge(records(0)));
    await world.time.settle(world.node('a').context.replica.merge(records(60)));
    let largest = 0;
    const { api } = world.node('b');
    const handle = api.handle.bind(api);
    api.handle = async (from, request) => {
      const reply = await handle(from, request);
      largest = Math.max(largest, encodeBody(request.body).length, encodeBody(reply).length);
      return reply;
    };
    await world.time.settle(new Exchange(world.node('a').context, 1e9).run('b', LeafSet.all()));
    expect(await world.node('b').content()).toHaveLength(120);
    expect(largest).toBeLessThanOrEqual(limits.maxBatchBytes + 512 * 1024);
  });
});
