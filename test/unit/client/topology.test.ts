import { describe, expect, it } from 'vitest';
import { errorOf, fakeCluster } from './open-client.js';

describe('connect', () => {
  it('any contact point that answers will do', async () => {
    const { time, open, cluster } = fakeCluster();
    cluster.nodes[0]!.state = 'refusing';
    cluster.nodes[1]!.state = 'stalled';
    const client = await open();
    await time.settle(client.increment('k', 'view', { consistency: 'ONE' }));
    expect(time.nowMs).toBeLessThan(10_000);
  });

  it('says why when none answers', async () => {
    const { open, cluster } = fakeCluster();
    for (const node of cluster.nodes) node.state = 'refusing';
    const error = await errorOf(open());
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(error.message).toContain('127.0.0.1:9001: connection refused');
  });

  it('refuses contact points of two clusters', async () => {
    const { open, cluster } = fakeCluster();
    const { connect } = cluster;
    cluster.connect = (address) => {
      const connection = connect.call(cluster, address);
      if (!address.endsWith('9002')) return connection;
      const { describe } = connection;
      return {
        ...connection,
        describe: async (options) => ({ ...(await describe(options)), cluster: 'other' }),
      };
    };
    expect(await errorOf(open())).toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it.each([
    ['no contact points', { contactPoints: [] }],
    ['no address', { contactPoints: ['localhost'] }],
    ['no port', { contactPoints: ['localhost:0'] }],
    ['no such datacenter', { localDatacenter: 'dc9' }],
    ['limit', { maxCells: 0 }],
    ['level', { consistency: 'SOME' as never }],
  ])('refuses %s', async (_, options) => {
    expect(await errorOf(fakeCluster().open(options))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('topology', () => {
  it('follows a new ring: STALE_RING refreshes it and nothing is lost', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    cluster.description = { ...cluster.description, ringEpoch: 5 };
    const before = time.nowMs;
    await time.settle(client.increment('k', 'view'));
    expect(time.nowMs - before).toBeLessThan(500);
    expect(cluster.grandTotal()).toBe(1);
  });

  it('spreads coordinators', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    for (let i = 0; i < 60; i++) await time.settle(client.increment(`k${i}`, 'view'));
    for (const node of cluster.nodes) expect(node.calls.flush).toBeGreaterThan(12);
    for (let i = 0; i < 60; i++) await time.settle(client.get(`k${i}`, 'view'));
    for (const node of cluster.nodes) expect(node.calls.get).toBeGreaterThan(12);
    // Many at once go together in few calls.
    await time.settle(Promise.all(Array.from({ length: 60 }, (_, i) => client.get(`k${i}`, 'view'))));
    for (const node of cluster.nodes) expect(node.calls.get).toBeLessThan(40);
  });

  it('spreads reads that may be hedged, too', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ hedgeReadsAfterMs: 1_000 });
    for (let i = 0; i < 60; i++) await time.settle(client.get(`k${i}`, 'view'));
    for (const node of cluster.nodes) expect(node.calls.get).toBeGreaterThan(12);
  });

  it('a node that others call down is probed, not believed', async () => {
    const { time, open, cluster } = fakeCluster();
    const down: string[] = [];
    const client = await open();
    client.on('nodeDown', ({ nodeId }) => down.push(nodeId));
    const nodes = cluster.description.nodes.map((node) => ({ ...node, up: node.nodeId !== 'n2' }));
    cluster.description = { ...cluster.description, nodes };
    await time.run(time.nowMs + 12_000);
    expect(down).toEqual([]);
    cluster.nodes[1]!.state = 'refusing';
    await time.run(time.nowMs + 12_000);
    expect(down).toEqual(['n2']);
  });
});
