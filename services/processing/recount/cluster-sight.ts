import { setMaxListeners } from 'node:events';
import type { TallyringClient } from '../../../client/client.js';
import { persist } from '../../../client/log-driven/record-reader.js';
import type { Waiting } from '../../../client/log-driven/shard-store.js';
import { readShards } from '../../../client/shards.js';
import type { CellValue } from '../../../counter/shard.js';
import { type Granularity, windowStartMs } from '../../../counter/window.js';
import type { OperatorCalls, Outcome, ProducerShard } from '../../../proto/calls.js';
import type { CellAddress } from '../../../proto/entry.js';
import { errorFromData, TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { EARLIEST_EVENT_MS } from '../../event.js';
import type { ReplicaSight } from './findings.js';

/** What the cluster holds of some cells. */
export interface CellSight {
  shards: ProducerShard[];
  /** What each replica alone held before. */
  replicas: ReplicaSight[];
  /** Read at ALL: the replicas are equal since. */
  isAtAll: boolean;
}

/** How a recount looks at the cluster. */
export interface ClusterSight {
  readonly rollups: readonly Granularity[];
  look(cells: readonly CellAddress[], waiting: Waiting): Promise<CellSight[]>;
  /** Σ of the finer windows inside a cell. Throws where that cannot be read. */
  finerSum(cell: CellAddress, finer: Granularity): Promise<CellValue>;
}

export interface ClusterSightParts {
  client: TallyringClient<'bigint'>;
  connect(address: string): Promise<Pick<OperatorCalls, 'getLocal'>>;
  timeoutMs: number;
}

/** Queries of one call. */
const MAX_QUERIES = 500;
const DAY_MS = 86_400_000;

export function clusterSight(parts: ClusterSightParts): ClusterSight {
  const { client, timeoutMs } = parts;
  const { ports } = client.parts;
  /** Once not all answered in time, they are not waited for again. */
  let level: ConsistencyLevel = 'ALL';

  async function shardsOf(cells: readonly CellAddress[], waiting: Waiting) {
    const { signal } = waiting;
    // One listener for each call on its way: as many as there are nodes and parts.
    setMaxListeners(0, signal);
    if (level === 'ALL') {
      const outcomes = await readShards(client.parts, cells, { level, timeoutMs, signal });
      const failed = outcomes.find((outcome) => 'error' in outcome);
      if (failed === undefined) return { isAtAll: true, shards: outcomes.map(okOf) };
      if ('error' in failed && failed.error.code === 'READ_TIMEOUT') level = 'QUORUM';
    }
    const atQuorum = () => readShards(client.parts, cells, { level: 'QUORUM', timeoutMs, signal });
    const shards = await persist({ ...ports, waiting }, async () => (await atQuorum()).map(okOf));
    return { isAtAll: false, shards };
  }

  return {
    rollups: client.rollups,
    async look(cells, waiting) {
      const replicas = await replicasOf(cells, parts);
      const { isAtAll, shards } = await shardsOf(cells, waiting);
      return cells.map((_, i) => ({ shards: shards[i]!, replicas: replicas[i]!, isAtAll }));
    },
    async finerSum({ key, eventType, granularity, window }, finer) {
      const isTotal = granularity === 'total';
      const start = isTotal ? EARLIEST_EVENT_MS : windowStartMs(granularity, window);
      const end = isTotal ? ports.clock.wallMs() + 2 * DAY_MS : windowStartMs(granularity, window + 1);
      const sums = await client.stats(key, eventType, { start, end, granularity: finer, timeoutMs });
      const { count = 0n, sum = 0n, min = null, max = null } = sums;
      return { count, sum, min, max };
    },
  };
}

function okOf<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw errorFromData(outcome.error);
  return outcome.ok;
}

/** What each replica of each cell holds by itself. */
async function replicasOf(
  cells: readonly CellAddress[],
  { client, connect, timeoutMs }: ClusterSightParts,
): Promise<ReplicaSight[][]> {
  const { topology } = client.parts;
  const sights = cells.map((): ReplicaSight[] => []);
  const byNode = new Map<string, number[]>();
  for (const [i, { key }] of cells.entries()) {
    for (const nodeId of topology.replicasOfKey(key).nodeIds) {
      const indexes = byNode.get(nodeId);
      if (indexes === undefined) byNode.set(nodeId, [i]);
      else indexes.push(i);
    }
  }
  const ask = async (nodeId: string, indexes: readonly number[]) => {
    const node = topology.description.nodes.find((each) => each.nodeId === nodeId);
    if (node === undefined) throw new TallyringError('UNAVAILABLE', `${nodeId} is not known`);
    const host = node.host.includes(':') ? `[${node.host}]` : node.host;
    const queries = indexes.map((i) => queryOf(cells[i]!));
    return (await connect(`${host}:${node.port}`)).getLocal(queries, { timeoutMs });
  };
  await Promise.all(
    [...byNode].map(async ([nodeId, indexes]) => {
      for (let at = 0; at < indexes.length; at += MAX_QUERIES) {
        const some = indexes.slice(at, at + MAX_QUERIES);
        // A replica that is down does not say.
        const outcomes = await ask(nodeId, some).catch((): Outcome<CellValue>[] => []);
        for (const [j, i] of some.entries()) {
          const outcome = outcomes[j];
          const value = outcome !== undefined && 'ok' in outcome ? outcome.ok : undefined;
          sights[i]!.push({ nodeId, value });
        }
      }
    }),
  );
  return sights;
}

function queryOf({ key, eventType, granularity, window }: CellAddress) {
  if (granularity === 'total') return { key, eventType, granularity };
  return { key, eventType, granularity, timestampMs: windowStartMs(granularity, window) };
}
