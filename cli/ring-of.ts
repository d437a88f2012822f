import { buildRing, type TokenRing } from '../node/ring/build.js';
import type { ClusterDescription } from '../proto/calls.js';

/** The ring that a node describes. */
export function ringOf(cluster: ClusterDescription): TokenRing {
  const { ringEpoch: epoch, vnodes, replication, nodes } = cluster;
  return buildRing({ epoch, vnodes, replication, nodes });
}
