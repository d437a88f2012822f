import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ClusterConfig, clusterSchema } from '../../node/config.js';
import { waitUntil } from './drill-cluster.js';
import { Links } from './links.js';
import { Nodes } from './nodes.js';

const START_BOUND_MS = 60_000;

/** A cluster that the run makes for itself: every node finds the others through proxies. */
export interface OwnCluster {
  nodes: Nodes;
  links: Links;
  close(): Promise<void>;
}

export function makeOwnCluster(folder: string, nodeCount: number, firstPort: number): OwnCluster {
  const ids = Array.from({ length: nodeCount }, (_, i) => `n${i + 1}`);
  const ports = new Map(ids.map((id, i) => [id, firstPort + i]));
  const links = new Links(ports, firstPort + nodeCount);
  const config = configWith((id) => ports.get(id)!, ids);
  for (const part of ['config', 'data', 'logs']) mkdirSync(join(folder, part), { recursive: true });
  const configFileOf = (id: string) => join(folder, 'config', `${id}.yml`);
  for (const id of ids) {
    const seen = configWith((other) => (other === id ? ports.get(id)! : links.portFor(id, other)), ids);
    writeFileSync(configFileOf(id), stringify(seen));
  }
  // For whoever looks into the cluster by hand.
  writeFileSync(join(folder, 'cluster.yml'), stringify(config));
  const nodes = new Nodes({
    config,
    data: join(folder, 'data'),
    configFileOf,
    logFileOf: (id) => join(folder, 'logs', `${id}.log`),
  });
  const close = async () => {
    await Promise.all(ids.map((id) => nodes.kill(id)));
    links.close();
  };
  return { nodes, links, close };
}

/** Starts the nodes of a new cluster and waits until all are normal and know each other. */
export async function startOwnCluster({ nodes, links }: OwnCluster): Promise<void> {
  await links.listen();
  for (const id of nodes.ids) nodes.launch(id, true);
  await waitUntil('the new cluster is up', START_BOUND_MS, () => nodes.allWhole());
}

function configWith(portOf: (nodeId: string) => number, ids: readonly string[]): ClusterConfig {
  return clusterSchema.parse({
    cluster: 'chaos',
    replication: { dc1: 3 },
    nodes: ids.map((id) => ({ id, port: portOf(id) })),
    limits: {
      // A recovering node waits for the longest request to end: kept short, so that much happens in a run.
      maxRequestMs: 3_000,
      defaultRequestMs: 2_000,
      antiEntropyIntervalMs: 2_000,
      // Small, so that LevelDB has tables to write, to merge and to lose bits of.
      writeBufferBytes: 512 * 1024,
      minFreeDiskBytes: 8 * 1024 * 1024,
    },
  });
}
