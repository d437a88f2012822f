import { describe, expect, it } from 'vitest';
import { configHash } from '../../../node/gossip/admission.js';
import type { Gossiper } from '../../../node/gossip/gossiper.js';
import { Network, WALL_START_MS } from './harness.js';

const INTERVAL_MS = 1_000;

function network(size: number, seed = 1): Network {
  const net = new Network(size, seed);
  net.startAll();
  return net;
}

const knowsAll = (net: Network) => (gossiper: Gossiper) =>
  net.nodeIds.every((nodeId) => gossiper.facts(nodeId)?.storeId === `store-${nodeId}`);

const sees = (net: Network, observers: readonly string[], nodeId: string, live: boolean) =>
  observers.every((observer) => net.gossiper(observer).isLive(nodeId) === live);

async function counterOf(metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> {
  return (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
}

describe('gossip spreads', () => {
  it.each([
    [10, 1],
    [10, 2],
    [50, 1],
    [50, 2],
    [50, 3],
  ])('all facts of %i nodes, and then one change, in O(log n) rounds (seed %i)', async (size, seed) => {
    const net = network(size, seed);
    const boundMs = (2 * Math.ceil(Math.log2(size)) + 1) * INTERVAL_MS;
    await net.time.runUntil(() => net.isConverged(knowsAll(net)), boundMs);
    net.gossiper('n7').declare({ status: 'leaving' });
    const changed = (gossiper: Gossiper) => gossiper.facts('n7')?.status === 'leaving';
    await net.time.runUntil(() => net.isConverged(changed), boundMs);
  });

  it('with at most three peers a round, and keeps everybody live', async () => {
    const net = network(50);
    net.kill('n9');
    net.kill('n10');
    await net.time.run(45_000);
    const rounds = new Map<string, number>();
    for (const { atMs, from, kind } of net.sent) {
      if (kind !== 'gossipSyn') continue;
      const round = `${from} ${atMs}`;
      rounds.set(round, (rounds.get(round) ?? 0) + 1);
    }
    expect(rounds.size).toBeGreaterThan(48 * 44);
    expect(Math.max(...rounds.values())).toBeLessThanOrEqual(3);
    const living = net.nodeIds.filter((nodeId) => nodeId !== 'n9' && nodeId !== 'n10');
    for (const nodeId of living) expect(sees(net, living, nodeId, true)).toBe(true);
    const { metrics } = net.at.get('n1')!;
    expect(await counterOf(metrics.gossipRounds)).toBe(46);
    expect(await counterOf(metrics.liveNodes)).toBe(48);
    expect(await counterOf(metrics.gossipBytes)).toBeGreaterThan(0);
  });

  it('refreshed facts each round', async () => {
    const net = network(3);
    await net.time.run(10_500);
    const age = WALL_START_MS + net.time.nowMs - net.gossiper('n1').facts('n3')!.wallMs!;
    expect(age).toBeLessThan(3 * INTERVAL_MS);
  });
});

describe('liveness', () => {
  it('presumes known nodes up at the start, strangers not, and convicts who never speaks', async () => {
    const net = new Network(3, 1);
    net.isCut = (from, to) => from === 'n3' || to === 'n3';
    net.startAll();
    expect(net.gossiper('n1').isLive('n3')).toBe(true);
    expect(net.gossiper('n1').isLive('stranger')).toBe(false);
    await net.time.run(36_000);
    expect(net.gossiper('n1').isLive('n3')).toBe(true); // the first interval is an estimate of 2 s
    await net.time.run(3_000);
    expect(net.gossiper('n1').isLive('n3')).toBe(false);
    expect(
      net
        .gossiper('n1')
        .endpoints()
        .find((endpoint) => endpoint.nodeId === 'n3'),
    ).toMatchObject({
      generation: 0,
      convicted: true,
    });
  });

  it('convicts a node that fell silent after 15 to 30 s, its facts untouched', async () => {
    const net = network(10);
    await net.time.run(60_000);
    net.isCut = (from, to) => from === 'n4' || to === 'n4';
    const others = net.nodeIds.filter((nodeId) => nodeId !== 'n4');
    await net.time.run(14_000);
    expect(sees(net, others, 'n4', true)).toBe(true);
    await net.time.runUntil(() => sees(net, others, 'n4', false), 16_000);
    expect(net.gossiper('n1').facts('n4')?.status).toBe('normal'); // liveness is not gossiped
    expect(await counterOf(net.at.get('n1')!.metrics.convictions)).toBe(1);
    expect(net.at.get('n1')!.liveness).toContainEqual(['n4', false]);
  });

  it('notices a killed process by its connection, at the first request', async () => {
    const net = network(3);
    await net.time.run(5_000);
    net.kill('n3');
    await net.time.runUntil(() => sees(net, ['n1', 'n2'], 'n3', false), 5 * INTERVAL_MS);
  });

  it('heals a partition by itself, both sides convicted', async () => {
    const net = network(10);
    await net.time.run(10_000);
    const left = net.nodeIds.slice(0, 5);
    const right = net.nodeIds.slice(5);
    net.isCut = (from, to) => left.includes(from) !== left.includes(to);
    const parted = () =>
      left.every((a) => right.every((b) => !net.gossiper(a).isLive(b) && !net.gossiper(b).isLive(a)));
    await net.time.runUntil(parted, 60_000);
    for (const a of left) expect(sees(net, left, a, true)).toBe(true);
    await net.time.run(60_000);
    net.isCut = () => false;
    const healed = () => net.nodeIds.every((nodeId) => sees(net, net.nodeIds, nodeId, true));
    await net.time.runUntil(healed, 15_000);
  });

  it('notices a shutdown at once', async () => {
    const net = network(4);
    await net.time.run(5_000);
    const before = net.sent.length;
    const stopped = net.gossiper('n4').stop();
    await net.time.run(50); // far less than a round
    await stopped;
    const told = net.sent.slice(before).filter(({ from }) => from === 'n4');
    expect(told.map(({ kind }) => kind)).toEqual(['gossipAck2', 'gossipAck2', 'gossipAck2']);
    expect(sees(net, ['n1', 'n2', 'n3'], 'n4', false)).toBe(true);
    expect(net.at.get('n1')!.liveness).toContainEqual(['n4', false]);
    expect(() => net.gossiper('n4').handleSyn('n1', Buffer.alloc(0))).toThrow(/shutting down/);
  });

  it('bounds a shutdown whose peers do not answer', async () => {
    const net = network(4);
    await net.time.run(5_000);
    net.isCut = () => true;
    let isDone = false;
    const stopped = net
      .gossiper('n4')
      .stop()
      .then(() => (isDone = true));
    await net.time.runUntil(() => isDone, 1_100);
    await stopped;
  });

  it('takes a restarted node back within a few rounds, killed or shut down', async () => {
    const net = network(5);
    await net.time.run(5_000);
    net.kill('n4');
    await net.shutDown('n5');
    await net.time.run(30_000);
    for (const nodeId of ['n4', 'n5']) net.start(nodeId);
    const back = () => net.nodeIds.every((nodeId) => sees(net, net.nodeIds, nodeId, true));
    await net.time.runUntil(() => back() && net.isConverged(knowsAll(net)), 8 * INTERVAL_MS);
    const generation = net
      .gossiper('n1')
      .endpoints()
      .find(({ nodeId }) => nodeId === 'n4')!.generation;
    expect(generation).toBeGreaterThan(WALL_START_MS + 30_000);
  });

  it.each([
    ['crashed', {}],
    ['was refused for its configuration', { configHash: 'other' }],
  ])('lets all of 40 nodes ask a restarted one again soon, after it %s', async (_, before) => {
    const net = new Network(40, 3);
    for (const nodeId of net.nodeIds.slice(0, -1)) net.start(nodeId);
    net.start('n40', before);
    await net.time.run(10_000);
    net.kill('n40');
    await net.time.run(60_000);
    net.start('n40');
    await net.time.runUntil(() => sees(net, net.nodeIds, 'n40', true), 15 * INTERVAL_MS);
  });

  it('knows nothing of the pace of a restarted node', async () => {
    const net = network(2);
    await net.time.run(60_000);
    net.kill('n2');
    await net.time.run(3_000);
    const { generation } = net.gossiper('n1').endpoints()[1]!;
    net.start('n2');
    const isBack = () => net.gossiper('n1').endpoints()[1]!.generation > generation;
    await net.time.runUntil(isBack, 3_000);
    net.isCut = () => true;
    await net.time.run(25_000); // a known pace of one a second would have convicted it after 18 s
    expect(net.gossiper('n1').isLive('n2')).toBe(true);
    await net.time.runUntil(() => !net.gossiper('n1').isLive('n2'), 15_000);
  });

  it('hears a node whose clock went back between two starts', async () => {
    const net = network(3);
    await net.time.run(5_000);
    net.kill('n3');
    await net.time.run(3_000);
    net.start('n3', { generation: WALL_START_MS - 3_600_000, facts: { rack: 'moved' } });
    const heard = (gossiper: Gossiper) => gossiper.facts('n3')?.rack === 'moved';
    await net.time.runUntil(() => net.isConverged(heard), 10 * INTERVAL_MS);
    expect(net.at.get('n3')!.logs.join()).toMatch(/raised the generation/);
  });

  it('convicts nobody after a pause of its own', async () => {
    const net = network(5);
    await net.time.run(20_000);
    const process = net.at.get('n2')!;
    process.pausedUntilMs = net.time.nowMs + 60_000;
    process.liveness.length = 0;
    await net.time.run(90_000);
    expect(process.liveness).toEqual([]);
    expect(await counterOf(process.metrics.convictions)).toBe(0);
    expect(net.at.get('n1')!.liveness.filter(([nodeId]) => nodeId === 'n2')).toEqual([
      ['n2', true],
      ['n2', false],
      ['n2', true],
    ]);
  });

  it('asks nothing of a node whose store failed', async () => {
    const net = network(3);
    await net.time.run(5_000);
    net.gossiper('n3').declare({ storeState: 'failed' });
    await net.time.runUntil(() => sees(net, ['n1', 'n2'], 'n3', false), 5_000);
    expect(net.gossiper('n3').isLive('n3')).toBe(true);
    net.gossiper('n3').declare({ storeState: 'ok' });
    await net.time.runUntil(() => sees(net, ['n1', 'n2'], 'n3', true), 5_000);
  });
});

describe('refuses', () => {
  const otherConfig = configHash({ rollups: ['total', 'day'], replication: { dc1: 3 } });

  it.each([
    ['another cluster', { cluster: 'other' }, /belongs to cluster other/],
    ['another configuration', { configHash: otherConfig }, /other rollups or another replication/],
    ['an absurd generation', { generation: WALL_START_MS + 400 * 86_400_000 }, /over a year ahead/],
  ])('%s, says so once on both sides, and takes in nothing of it', async (_, options, reason) => {
    const net = new Network(4, 1);
    for (const nodeId of ['n1', 'n2', 'n3']) net.start(nodeId);
    const intruder = net.start('n4', options);
    await net.time.run(20_000);
    for (const nodeId of ['n1', 'n2', 'n3']) {
      expect(net.gossiper(nodeId).facts('n4')).toBeUndefined();
      const logs = net.at.get(nodeId)!.logs;
      expect(logs.filter((text) => reason.test(text) && text.includes('node n4'))).toHaveLength(1);
      expect(new Set(logs).size).toBe(logs.length);
      expect(net.gossiper(nodeId).isLive('n4')).toBe(false);
    }
    expect(intruder.logs.length).toBeGreaterThan(0);
    expect(intruder.logs.length).toBe(new Set(intruder.logs).size);
    expect(intruder.logs.join()).toMatch(/gossip refused/);
    for (const nodeId of ['n1', 'n2', 'n3']) {
      expect(sees(net, ['n1', 'n2', 'n3'], nodeId, true)).toBe(true);
    }
  });

  it('a second process of a live nodeId; a new store is taken once the old one is gone', async () => {
    const net = network(3);
    await net.time.run(5_000);
    const first = net.at.get('n3')!;
    const second = net.start('n3', { facts: { storeId: 'other' } });
    net.at.set('n3', first); // the address stays with the first
    await net.time.run(20_000);
    for (const nodeId of ['n1', 'n2']) {
      expect(net.gossiper(nodeId).facts('n3')?.storeId).toBe('store-n3');
      const logs = net.at.get(nodeId)!.logs;
      expect(logs.filter((text) => /two processes claim one nodeId/.test(text))).toHaveLength(1);
    }
    expect(second.logs.join()).toMatch(/two processes claim one nodeId/);
    first.alive = false;
    net.at.set('n3', second);
    const taken = () => ['n1', 'n2'].every((nodeId) => net.gossiper(nodeId).facts('n3')?.storeId === 'other');
    await net.time.runUntil(() => taken() && sees(net, ['n1', 'n2'], 'n3', true), 10_000);
  });

  it('old gossip of a node that left', async () => {
    const net = network(4);
    await net.time.run(5_000);
    net.isCut = (from, to) => from === 'n4' || to === 'n4'; // n4 does not hear that n3 leaves
    net.gossiper('n3').declare({ status: 'left' });
    await net.time.runUntil(() => sees(net, ['n1', 'n2'], 'n3', false), 5_000);
    net.kill('n3');
    await net.time.run(60_000);
    net.isCut = () => false;
    const told = () => net.gossiper('n4').facts('n3')?.status === 'left';
    await net.time.runUntil(told, 10_000);
    await net.time.run(10_000);
    expect(sees(net, ['n1', 'n2', 'n4'], 'n3', false)).toBe(true);
    // Started again by mistake, it is not taken back; only a join brings it.
    net.start('n3');
    await net.time.run(10_000);
    expect(sees(net, ['n1', 'n2', 'n4'], 'n3', false)).toBe(true);
    net.gossiper('n3').declare({ status: 'joining' });
    await net.time.runUntil(() => sees(net, ['n1', 'n2', 'n4'], 'n3', true), 10_000);
  });

  it('malformed bytes, with INVALID_ARGUMENT', async () => {
    const net = network(2);
    for (const bytes of [Buffer.alloc(0), Buffer.from('nonsense'), Buffer.from([0x90])]) {
      expect(() => net.gossiper('n1').handleSyn('n2', bytes)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });
});
