import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../../client/index.js';
import { readShards } from '../../../client/shards.js';
import { clusterSchema } from '../../../node/config.js';
import { type RunningNode, runNode } from '../../../node/main.js';
import { silentLogger } from '../../../ports/logger.js';
import { until } from '../../unit/transport/fakes.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const PORTS = [21_310, 21_311, 21_312];
const config = clusterSchema.parse({
  cluster: 'test',
  replication: { dc1: 3 },
  nodes: PORTS.map((port, i) => ({ id: `n${i + 1}`, port })),
});

async function startNode(i: number): Promise<RunningNode> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'tallyring-'));
  closers.push(() => rm(dataFolder, { recursive: true }));
  const nodeId = `n${i + 1}`;
  const node = await runNode({ config, nodeId, dataFolder, newCluster: true, logger: silentLogger });
  closers.push(() => node.stop());
  return node;
}

describe('three nodes with the real things', () => {
  it('keep columns and the shards of cells while one of them is down', async () => {
    const nodes = await Promise.all(PORTS.map((_, i) => startNode(i)));
    const contactPoints = PORTS.map((port) => `127.0.0.1:${port}`);
    const open = async () => {
      const client = await connect({ contactPoints });
      closers.push(() => client.close());
      return client;
    };
    const [one, two] = [await open(), await open()];
    await until(() => one.parts.topology.description.nodes.every(({ up }) => up));
    await one.setColumns('video', { title: 'Cats', channel: 'c1' });
    await one.increment('video', 'view');
    await nodes[2]!.stop();
    await two.setColumns('video', { title: 'Katzen 😺', channel: null, language: '' });
    await two.increment('video', 'view', { by: 5 });
    const [columns, none] = await one.getColumns(['video', 'other']);
    expect(columns!.value).toEqual(
      new Map([
        ['language', { value: '', at: expect.any(Date) }],
        ['title', { value: 'Katzen 😺', at: expect.any(Date) }],
      ]),
    );
    expect(none!.value).toEqual(new Map());
    const cell = { key: 'video', eventType: 'view', granularity: 'total', window: 0 } as const;
    const [shards] = await readShards(one.parts, [cell], { level: 'QUORUM', timeoutMs: 5_000 });
    expect('ok' in shards! && shards.ok.map(({ sum }) => sum).sort()).toEqual([1, 5]);
  }, 20_000);
});
