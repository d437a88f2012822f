import { describe, expect, it } from 'vitest';
import type { NodeInfo } from '../../../client/node-table.js';
import { errorOf, fakeCluster } from './open-client.js';

const view = (key: string) => ({ key, eventType: 'view' });

describe('nodes that die', () => {
  it.each(['refusing', 'stalled'] as const)(
    'no increment fails while each node in turn is %s',
    async (state) => {
      const { time, open, cluster } = fakeCluster();
      const events: string[] = [];
      const client = await open({
        onNodeUp: (node: NodeInfo) => events.push(`up ${node.nodeId}`),
        onNodeDown: (node: NodeInfo) => events.push(`down ${node.nodeId}`),
      });
      let counted = 0;
      let longestMs = 0;
      const worker = async (name: number, untilMs: number) => {
        while (time.nowMs < untilMs) {
          const before = time.nowMs;
          await client.increment(`k${name}`, 'view');
          if (counted % 10 === 0) await client.get(`k${name}`, 'view');
          longestMs = Math.max(longestMs, time.nowMs - before);
          counted++;
        }
      };
      const workers = Promise.all(Array.from({ length: 3 }, (_, i) => worker(i, 12_000)));
      for (const [i, node] of cluster.nodes.entries()) {
        time.after(1_000 + i * 3_500, () => {
          node.state = state;
        });
        time.after(3_500 + i * 3_500, () => {
          node.state = 'up';
        });
      }
      await time.settle(workers, 60_000);
      expect(cluster.grandTotal()).toBe(counted);
      expect(longestMs).toBeLessThan(state === 'refusing' ? 200 : 2_500);
      for (const { nodeId } of cluster.nodes) {
        expect(events.filter((event) => event === `down ${nodeId}`)).toHaveLength(1);
        expect(events.filter((event) => event === `up ${nodeId}`)).toHaveLength(1);
      }
    },
  );

  it('two of three dead: QUORUM waits, ONE counts, and later QUORUM sees it all', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    cluster.nodes[0]!.state = 'refusing';
    cluster.nodes[2]!.state = 'refusing';
    const before = time.nowMs;
    const atQuorum = client.increment('k', 'view', { timeoutMs: 600_000 });
    await time.settle(client.increment('k', 'view', { consistency: 'ONE' }));
    await time.settle(client.increment('k', 'view', { consistency: 'ONE' }));
    expect(time.nowMs - before).toBeLessThan(1_000);
    const pending = await errorOf(time.settle(client.increment('k', 'view', { timeoutMs: 5_000 })));
    expect(pending).toMatchObject({ code: 'PENDING', cause: { code: 'UNAVAILABLE', required: 2, live: 1 } });
    const beforeRead = time.nowMs;
    const unavailable = await errorOf(time.settle(client.get('k', 'view')));
    expect(unavailable).toMatchObject({ code: 'UNAVAILABLE', required: 2, live: 1, retryable: true });
    expect(time.nowMs - beforeRead).toBeLessThan(1_000);
    cluster.nodes[0]!.state = 'up';
    cluster.nodes[2]!.state = 'up';
    await time.settle(atQuorum);
    expect((await time.settle(client.get('k', 'view'))).count).toBe(4);
  });

  it('reads move on from a coordinator that stalls', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    await time.settle(client.increment('k', 'view'));
    cluster.nodes[1]!.state = 'stalled';
    const values = await time.settle(Promise.all(Array.from({ length: 9 }, () => client.get('k', 'view'))));
    expect(values.every(({ count }) => count === 1)).toBe(true);
  });

  it('entries that fail go again through another node, the others are acknowledged', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    let first: string | undefined;
    const asked: string[] = [];
    cluster.faultOf = (node) => {
      asked.push(node.nodeId);
      first ??= node.nodeId;
      return node.nodeId === first ? 'partial' : 'none';
    };
    await time.settle(Promise.all(Array.from({ length: 30 }, (_, i) => client.increment(`k${i}`, 'view'))));
    expect(new Set(asked.slice(1)).has(first!)).toBe(
      asked.slice(1).length > 1 && asked.lastIndexOf(first!) > 0,
    );
    expect(cluster.grandTotal()).toBe(30);
  });
});

describe('levels', () => {
  it('a level that cannot be reached holds up no other of the same series', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    cluster.nodes[1]!.state = 'refusing';
    let all = false;
    const atAll = client.increment('k', 'view', { consistency: 'ALL', timeoutMs: 600_000 }).then(() => {
      all = true;
    });
    for (let i = 0; i < 10; i++) {
      const before = time.nowMs;
      await time.settle(client.increment('k', 'view'));
      expect(time.nowMs - before).toBeLessThan(150);
      await time.run(time.nowMs + 300);
    }
    await time.settle(client.flush());
    expect(all).toBe(false);
    cluster.nodes[1]!.state = 'up';
    await time.settle(atAll);
    expect(cluster.value(view('k'), [cluster.nodes[1]!]).count).toBe(11);
  });

  it('what ONE acknowledged is brought to QUORUM by and by', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ consistency: 'ONE' });
    await time.settle(client.increment('k', 'view'));
    expect(cluster.flushLevels).toEqual(['ONE']);
    await time.run(time.nowMs + 5_000);
    expect(cluster.flushLevels).toEqual(['ONE', 'QUORUM']);
  });

  it.each(['THREE', 'ALL', 'QUORUM', 'LOCAL_QUORUM', 'EACH_QUORUM'] as const)(
    '%s needs one flush',
    async (level) => {
      const { time, open, cluster } = fakeCluster();
      const client = await open();
      await time.settle(client.increment('k', 'view', { consistency: level }));
      await time.run(time.nowMs + 5_000);
      expect(cluster.flushLevels).toEqual([level]);
    },
  );

  it('refuses a level above N', async () => {
    const { open, cluster } = fakeCluster();
    cluster.description.replication = { dc1: 2 };
    const client = await open();
    expect(await errorOf(client.increment('k', 'view', { consistency: 'THREE' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await errorOf(open({ consistency: 'THREE' }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('requests in flight', () => {
  it('are at most maxInFlightFlushes, in all', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ maxInFlightFlushes: 2, maxFlushCells: 10, countIntervalMs: 20 });
    for (const node of cluster.nodes) node.state = 'stalled';
    const flushes = () => cluster.nodes.reduce((sum, { calls }) => sum + (calls.flush ?? 0), 0);
    for (let i = 0; i < 100; i++) {
      client.count(`k${i}`, 'view');
      await time.run(time.nowMs + 15);
    }
    expect(flushes()).toBe(2);
    for (const node of cluster.nodes) node.state = 'up';
    await time.settle(client.close());
    expect(cluster.grandTotal()).toBe(100);
  });
});

describe('memory', () => {
  it('a firehose of ever new keys is held within maxCells, exactly counted, with few ids', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open({ maxCells: 300 });
    let counted = 0;
    let refusals = 0;
    const feed = async () => {
      for (let i = 0; i < 2_000; i++) {
        try {
          client.count(`k${i % 700}`, 'view', 3);
          counted += 3;
        } catch (error) {
          expect(error).toMatchObject({ code: 'OVERLOADED', mayHaveApplied: false });
          refusals++;
          i--;
          await client.drained();
        }
      }
    };
    await time.settle(feed(), 600_000);
    expect(refusals).toBeGreaterThan(0);
    await time.settle(client.close());
    expect(cluster.grandTotal()).toBe(counted);
    expect(counted).toBe(6_000);
    expect(cluster.mints).toBeGreaterThan(5);
    expect(cluster.mints).toBeLessThan(60);
  });

  it('rolls to a fresh id once a day', async () => {
    const { time, open, cluster } = fakeCluster();
    const client = await open();
    for (let hour = 0; hour < 50; hour++) {
      await time.settle(client.increment('k', 'view'));
      await time.run(time.nowMs + 3_600_000);
    }
    await time.settle(client.close());
    expect(cluster.value(view('k')).count).toBe(50);
    expect(cluster.mints).toBe(3);
  });
});
