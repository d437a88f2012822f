import { describe, expect, it } from 'vitest';
import type { CellAddress } from '../../../proto/entry.js';
import { shardEntry, World } from '../quorum/world.js';
import { apiOf } from './client-api-of.js';

const options = { timeoutMs: 1_000 };
const cellOf = (key = 'video', more: Partial<CellAddress> = {}): CellAddress => ({
  key,
  eventType: 'view',
  granularity: 'total',
  window: 0,
  ...more,
});

describe('shards', () => {
  it('are those of every producer, the newest of any replica, which are then on a quorum', async () => {
    const world = await World.open();
    const merge = (nodeId: string, ...entries: ReturnType<typeof shardEntry>[]) =>
      world.time.settle(world.node(nodeId).context.replica.merge(entries));
    await merge('a', shardEntry({ producer: 1, sequence: 3 }), shardEntry({ hour: -7, sequence: 5 }));
    await merge('b', shardEntry({ producer: 1, sequence: 4 }), shardEntry({ producer: 2, sequence: 9 }));
    world.down.add('c');
    const cells = [cellOf(), cellOf('video', { granularity: 'hour', window: -7 }), cellOf('none')];
    const outcomes = await world.time.settle(apiOf(world).shards(cells, 'QUORUM', options));
    const shard = (producer: number, n: number) => ({
      producerId: Buffer.alloc(16, producer),
      sequence: n,
      count: n,
      sum: n,
      min: 1,
      max: 1,
    });
    const [total, hour, none] = outcomes.map((outcome) => ('ok' in outcome ? outcome.ok : []));
    expect(total).toHaveLength(2);
    expect(total).toEqual(expect.arrayContaining([shard(1, 4), shard(2, 9)]));
    expect(hour).toEqual([shard(1, 5)]);
    expect(none).toEqual([]);
    expect(await world.node('a').content()).toEqual(await world.node('b').content());
  });

  it('come for the first cells that an answer holds, one at least', async () => {
    const world = await World.open({ limits: { maxBatchBytes: 600 } });
    for (const node of Object.values(world.nodes)) {
      for (const key of ['x', 'y', 'z']) {
        const entries = Array.from({ length: 6 }, (_, i) => shardEntry({ key, producer: i + 1 }));
        await world.time.settle(node.context.replica.merge(entries));
      }
    }
    const api = apiOf(world);
    const lengths = async (...keys: string[]) => {
      const outcomes = await world.time.settle(
        api.shards(
          keys.map((key) => cellOf(key)),
          'QUORUM',
          options,
        ),
      );
      return outcomes.map((outcome) => ('ok' in outcome ? outcome.ok.length : outcome.error.code));
    };
    expect(await lengths('none', 'x', 'y', 'z')).toEqual([0, 6]);
    expect(await lengths('y', 'z')).toEqual([6]);
  });

  it('come for many small cells in one answer', async () => {
    const world = await World.open();
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    await world.time.settle(world.node('b').context.replica.merge(keys.map((key) => shardEntry({ key }))));
    const cells = keys.map((key) => cellOf(key));
    const outcomes = await world.time.settle(apiOf(world).shards(cells, 'ALL', options));
    expect(outcomes.map((outcome) => 'ok' in outcome && outcome.ok.length)).toEqual(keys.map(() => 1));
  });

  it('are refused by cell for what is no cell that is kept, and below the level', async () => {
    const world = await World.open();
    const api = apiOf(world);
    const wrong: CellAddress[] = [
      cellOf(''),
      cellOf('k', { eventType: '' }),
      cellOf('k', { granularity: 'day' }),
      cellOf('k', { window: 1 }),
      cellOf('k', { granularity: 'hour', window: 2 ** 47 }),
      cellOf('k', { granularity: 'hour', window: Number.NaN }),
    ];
    const codes = async (cells: CellAddress[]) =>
      (await world.time.settle(api.shards(cells, 'QUORUM', options))).map((outcome) =>
        'ok' in outcome ? 'OK' : outcome.error.code,
      );
    expect(await codes([...wrong, cellOf()])).toEqual([...wrong.map(() => 'INVALID_ARGUMENT'), 'OK']);
    for (const id of ['b', 'c']) world.down.add(id);
    expect(await codes([cellOf(), cellOf('')])).toEqual(['UNAVAILABLE', 'INVALID_ARGUMENT']);
    const many = Array.from({ length: world.limits.maxQueriesPerCall + 1 }, () => cellOf());
    await expect(api.shards(many, 'ONE', options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
