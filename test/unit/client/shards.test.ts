import { describe, expect, it } from 'vitest';
import { mintFrom } from '../../../client/identity.js';
import { readShards } from '../../../client/shards.js';
import type { CellAddress } from '../../../proto/entry.js';
import { errorOf, fakeCluster } from './open-client.js';

const totalOf = (key: string): CellAddress => ({ key, eventType: 'view', granularity: 'total', window: 0 });

async function counted(keys: readonly string[]) {
  const world = fakeCluster();
  const clients = [await world.open(), await world.open()];
  for (const [i, client] of clients.entries()) {
    for (const key of keys) client.count(key, 'view', i + 1);
    await world.time.settle(client.flush());
  }
  const { parts } = clients[0]!;
  const plan = { level: 'QUORUM' as const, timeoutMs: 1_000 };
  const read = (cells: readonly CellAddress[], more: { signal?: AbortSignal } = {}) =>
    readShards(parts, cells, { ...plan, ...more });
  return { ...world, parts, read };
}

describe('readShards', () => {
  it('gives the shards of every producer, and none of a cell that nobody counted', async () => {
    const { time, read } = await counted(['k']);
    const outcomes = await time.settle(read([totalOf('k'), totalOf('none')]));
    expect(outcomes[1]).toEqual({ ok: [] });
    const shards = 'ok' in outcomes[0]! ? outcomes[0].ok : [];
    expect(shards.map(({ sum }) => sum).sort()).toEqual([1, 2]);
    expect(new Set(shards.map(({ producerId }) => producerId.toString('hex'))).size).toBe(2);
  });

  it('asks for the rest when an answer does not hold all', async () => {
    const keys = Array.from({ length: 10 }, (_, i) => `k${i}`);
    const { time, cluster, read } = await counted(keys);
    cluster.cellsPerAnswer = 3;
    const outcomes = await time.settle(read(keys.map(totalOf)));
    expect(outcomes.map((outcome) => 'ok' in outcome && outcome.ok.length)).toEqual(keys.map(() => 2));
    const calls = cluster.nodes.reduce((sum, node) => sum + (node.calls.shards ?? 0), 0);
    expect(calls).toBeGreaterThanOrEqual(4);
  });

  it('asks another node, and says why there is no answer', async () => {
    const { time, cluster, read } = await counted(['k']);
    cluster.nodes[0]!.state = 'refusing';
    for (let i = 0; i < 3; i++) {
      expect((await time.settle(read([totalOf('k')])))[0]).toHaveProperty('ok');
    }
    cluster.nodes[1]!.state = 'refusing';
    const [outcome] = await time.settle(read([totalOf('k')]));
    expect(outcome).toMatchObject({ error: { code: 'UNAVAILABLE' } });
  });

  it('ends with the reason of its signal', async () => {
    const { time, cluster, read } = await counted(['k']);
    for (const node of cluster.nodes) node.state = 'stalled';
    const abort = new AbortController();
    const error = errorOf(read([totalOf('k')], { signal: abort.signal }));
    time.after(10, () => abort.abort(new Error('enough')));
    expect((await time.settle(error)).message).toBe('enough');
  });
});

describe('mintFrom', () => {
  it('asks for an id of the kind, sdk when it is not said', async () => {
    const { time, cluster, parts } = await counted([]);
    const first = await time.settle(mintFrom(parts.topology, { kind: 'log' }, 1_000));
    const next = await time.settle(mintFrom(parts.topology, { above: first, kind: 'log' }, 1_000));
    expect(next.compare(first)).toBe(1);
    expect(cluster.mintedKinds).toEqual(['sdk', 'sdk', 'log', 'log']);
  });
});
