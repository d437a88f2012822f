import { describe, expect, it } from 'vitest';
import { HASH_BYTES, LeafSet } from '../../../node/repair/hash-tree.js';
import { decodeBatch, encodeBatch } from '../../../proto/batch.js';
import type { Entry } from '../../../proto/entry.js';
import type { PeerKind, PeerRequest, ReplyBody, RequestBody } from '../../../proto/peer-message.js';
import { shardEntry, totalOf, World, type WorldOptions } from '../quorum/world.js';

async function asked(options: WorldOptions = {}) {
  const world = await World.open(options);
  const b = world.node('b');
  const ask = <K extends PeerKind>(kind: K, body: RequestBody<K>, from = 'a') =>
    world.time.settle(b.api.handle(from, { kind, body } as PeerRequest)) as Promise<ReplyBody<K>>;
  const put = (entries: Entry[]) => world.time.settle(b.context.replica.merge(entries));
  return { world, b, ask, put };
}

const many = (count: number) => Array.from({ length: count }, (_, i) => shardEntry({ key: `video-${i}` }));
const all = LeafSet.all().bits;

describe('peer api', () => {
  it('merges a batch whole or not at all', async () => {
    const { b, ask } = await asked();
    const good = shardEntry({ key: 'good' });
    const bad = { key: good.key, value: Buffer.concat([good.value.subarray(0, -1), Buffer.from([0])]) };
    const batch = encodeBatch([shardEntry({ key: 'x' }), bad]);
    await expect(ask('merge', { epoch: 1, batch })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(ask('merge', { epoch: 1, batch: batch.subarray(5) })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await b.entries()).toEqual([]);
    const reply = await ask('merge', { epoch: 1, batch: encodeBatch([good]) });
    const { storeId, syncedBatch } = b.opened.store;
    expect(reply).toEqual({ storeId, batch: syncedBatch });
    expect(await b.entries()).toEqual([good]);
  });

  it('tells no newer batch than the others may remember', async () => {
    const { b, ask, put } = await asked();
    for (const entry of many(3)) await put([entry]);
    b.toldBatch = () => 1;
    const { batch } = await ask('merge', { epoch: 1, batch: encodeBatch(many(3)) });
    expect(b.opened.store.syncedBatch).toBeGreaterThan(1);
    expect(batch).toBe(1);
  });

  it('refuses what carries an older ring than its own, and changes nothing', async () => {
    const { b, ask } = await asked();
    const requests: [PeerKind, object][] = [
      ['merge', { batch: encodeBatch(many(1)) }],
      ['read', { one: true, queries: [totalOf()] }],
      ['treeHashes', { nodes: [0] }],
      ['leafEntries', { leaves: all, limit: 1 }],
      ['fetch', { keys: [] }],
      ['row', { row: Buffer.alloc(20) }],
    ];
    for (const [kind, body] of requests) {
      const old = ask(kind, { ...body, epoch: 0 } as RequestBody<typeof kind>);
      await expect(old).rejects.toMatchObject({ code: 'STALE_RING', retryable: true });
    }
    expect(await b.entries()).toEqual([]);
  });

  it('answers rows as whole only while the node is, but at ONE', async () => {
    const { b, ask, put } = await asked();
    const entry = shardEntry({});
    await put([entry]);
    const read = (one: boolean) => ask('read', { epoch: 1, one, queries: [totalOf(), totalOf('none')] });
    expect(await read(false)).toMatchObject({ whole: [true, true], counts: [1, 0] });
    b.whole = false;
    expect((await read(false)).whole).toEqual([false, false]);
    expect((await read(true)).whole).toEqual([true, true]);
    // A record that was never read; what was read lately is answered from memory, and the scrub finds the rest.
    const cold = shardEntry({ key: 'cold' });
    await put([cold]);
    b.disk.flipBit(cold.key);
    const queries = [totalOf('cold'), totalOf('none')];
    expect((await ask('read', { epoch: 1, one: true, queries })).whole).toEqual([false, true]);
  });

  it('tells each what it remembers of its store', async () => {
    const { b, ask } = await asked();
    b.memory.heard('c', 's1', 12);
    expect(await ask('remembered', { storeId: 's1' }, 'c')).toEqual({ batch: 12, others: [] });
    expect(await ask('remembered', { storeId: 's1' }, 'a')).toEqual({ batch: 0, others: [] });
  });

  it('lists what both replicate page by page, each entry once', async () => {
    const nodes = Object.fromEntries('abcdef'.split('').map((id) => [id, 'dc1']));
    const { world, b, ask, put } = await asked({ nodes, replication: { dc1: 3 } });
    await put(many(500));
    const shared = (await b.entries()).filter((entry) =>
      ['a', 'b'].every((id) => world.ring.replicasOf(entry.key.readBigUInt64BE(6)).nodeIds.includes(id)),
    );
    expect(shared.length).toBeGreaterThan(10);
    for (const limit of [1, 7, shared.length, 10_000]) {
      const keys: Buffer[] = [];
      const hashes: Buffer[] = [];
      let pages = 0;
      for (;;) {
        const after = keys.at(-1);
        const page = await ask('leafEntries', { epoch: 1, leaves: all, limit, ...(after && { after }) });
        expect(page.keys.length).toBeLessThanOrEqual(limit);
        expect(page.hashes).toHaveLength(page.keys.length * HASH_BYTES);
        keys.push(...page.keys);
        hashes.push(page.hashes);
        pages++;
        if (!page.more) break;
        expect(page.keys.length).toBe(limit); // else the other side would take it for the end
      }
      expect(keys).toEqual(shared.map(({ key }) => key));
      expect(Buffer.concat(hashes)).toEqual(
        Buffer.concat(shared.map(({ value }) => value.subarray(-HASH_BYTES))),
      );
      expect(pages).toBeLessThanOrEqual(Math.ceil(shared.length / limit) + 1);
    }
  });

  it('gives the entries of keys, and leaves out what it has not', async () => {
    const { ask, put } = await asked();
    const entries = many(3);
    await put(entries);
    const keys = [entries[2]!.key, shardEntry({ key: 'none' }).key, entries[0]!.key];
    const { batch } = await ask('fetch', { epoch: 1, keys });
    expect(decodeBatch(batch)).toEqual([entries[2], entries[0]]);
  });

  it('gives all of a row, and says when it is not', async () => {
    const { b, ask, put } = await asked();
    const hours = [1, 2, 4_095].flatMap((hour) => [1, 2].map((producer) => shardEntry({ hour, producer })));
    const others = [shardEntry({ hour: 1, key: 'video2' }), shardEntry({ hour: 4_096 }), shardEntry({})];
    await put([...hours, ...others]);
    const { key } = hours[0]!;
    const row = key.subarray(0, key.length - 7 - 16);
    const reply = await ask('row', { epoch: 1, row });
    expect(decodeBatch(reply.batch)).toEqual(hours);
    expect(reply.whole).toBe(true);
    b.whole = false;
    expect((await ask('row', { epoch: 1, row })).whole).toBe(false);
    b.whole = true;
    b.disk.flipBit(hours[1]!.key);
    expect((await ask('row', { epoch: 1, row })).whole).toBe(false);
  });

  it('lists no leaves as whole while one of its rows is damaged', async () => {
    const { b, ask, put } = await asked();
    const entries = many(3);
    await put(entries);
    const body = { epoch: 1, leaves: all, limit: 10 };
    expect(await ask('leafEntries', body)).toMatchObject({ whole: true, more: false });
    b.disk.flipBit(entries[1]!.key);
    const reply = await ask('leafEntries', body);
    expect(reply.whole).toBe(false);
    expect(reply.keys).toHaveLength(2);
  });

  it('answers what is malformed with INVALID_ARGUMENT', async () => {
    const { ask } = await asked();
    const malformed = [
      ask('treeHashes', { epoch: 1, nodes: [65] }),
      ask('leafEntries', { epoch: 1, leaves: Buffer.alloc(3), limit: 10 }),
    ];
    for (const reply of malformed) {
      await expect(reply).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});
