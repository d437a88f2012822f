import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connectOperator } from '../../../client/transport/grpc.js';
import { clusterSchema } from '../../../node/config.js';
import { type RunningNode, runNode } from '../../../node/main.js';
import { silentLogger } from '../../../ports/logger.js';
import { clusterOf, rejection, startServer } from '../../unit/transport/fakes.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tallyring-'));
  closers.push(() => rm(path, { recursive: true }));
  return path;
}

describe('one node with the real things', () => {
  it('counts, keeps it over a restart, and stops within a second', async () => {
    const config = clusterSchema.parse({
      cluster: 'test',
      replication: { dc1: 1 },
      nodes: [{ id: 'n1', port: 21_300, metricsPort: 21_301 }],
    });
    const dataFolder = await folder();
    const start = async (newCluster: boolean): Promise<RunningNode> => {
      const node = await runNode({ config, nodeId: 'n1', dataFolder, newCluster, logger: silentLogger });
      closers.push(() => node.stop());
      return node;
    };
    const first = await start(true);
    const connection = connectOperator('127.0.0.1:21300');
    closers.push(() => connection.close());
    const options = { timeoutMs: 5_000 };
    const increment = { key: 'k', eventType: 'view', value: 2n ** 60n };
    expect(await connection.increment([increment], 'QUORUM', options)).toEqual([{ ok: null }]);
    expect((await fetch('http://127.0.0.1:21301/health')).status).toBe(200);
    const stoppingAt = performance.now();
    await first.stop();
    expect(performance.now() - stoppingAt).toBeLessThan(1_500);
    expect((await rejection(connection.report(options))).code).toBe('UNAVAILABLE');

    await start(false);
    const again = connectOperator('127.0.0.1:21300');
    closers.push(() => again.close());
    const sum = 2n ** 60n;
    expect(await again.get([{ key: 'k', eventType: 'view' }], 'ONE', options)).toEqual([
      { ok: { count: 1, sum, min: sum, max: sum } },
    ]);
  });

  it('says that its port is in use, and leaves its folder free', async () => {
    const config = clusterOf(21_304, { nodes: 1 });
    const dataFolder = await folder();
    const other = await startServer(config);
    const run = { config, nodeId: 'n1', dataFolder, newCluster: true, logger: silentLogger };
    const error = await rejection(runNode(run));
    expect(error.code).toBe('FAILED_PRECONDITION');
    expect(error.message).toContain('port 21304');
    await other.close();
    const node = await runNode(run);
    await node.stop();
  });

  it('refuses a nodeId that cluster.yml does not have, and a host that is not loopback', async () => {
    const config = clusterOf(21_306, { nodes: 1 });
    const run = { config, nodeId: 'n7', dataFolder: await folder(), newCluster: true, logger: silentLogger };
    expect((await rejection(runNode(run))).message).toContain('no node n7; it has n1');
    config.nodes[0]!.host = '0.0.0.0';
    expect((await rejection(runNode({ ...run, nodeId: 'n1' }))).message).toContain('insecure: true');
  });
});
