import type { NodeReport } from '../proto/calls.js';
import { ringOf } from './ring-of.js';

/** Whether a node that loses its store can have it back from the others: pure. */

/** Another node of the cluster, as it answers. */
export interface Source {
  nodeId: string;
  address: string;
  report: NodeReport | undefined;
}

/** Why the node cannot be rebuilt now; undefined when it can. */
export function whyNotRebuild(nodeId: string, others: readonly Source[]): string | undefined {
  if (others.length === 0) return `${nodeId} is the only node of its cluster: nobody holds what it has`;
  const described = others.find(({ report }) => report !== undefined)?.report?.ring;
  if (described === undefined) return `no other node answers: ${others.map(whyUnusable).join('; ')}`;
  const recovering = others.filter(({ report }) => report?.status === 'recovering');
  if (recovering.length > 0) {
    return `${recovering.map((other) => whyUnusable(other)).join('; ')}: one node at a time`;
  }
  for (const { nodeIds } of ringOf(described).replicaSets) {
    if (!nodeIds.includes(nodeId)) continue;
    const problem = whyNotFrom(nodeId, nodeIds, others);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** N − Q + 1 of the other replicas of a set hold all that a quorum acknowledged; fewer may not (DESIGN §7). */
function whyNotFrom(
  nodeId: string,
  nodeIds: readonly string[],
  others: readonly Source[],
): string | undefined {
  const required = nodeIds.length - Math.floor(nodeIds.length / 2);
  const replicas = others.filter((other) => nodeIds.includes(other.nodeId));
  const names = replicas.map((other) => other.nodeId).join(', ');
  if (nodeIds.length - 1 < required) {
    return `some keys have no other replica than ${nodeId}: nobody could give them back`;
  }
  const unusable = replicas.flatMap((other) => whyUnusable(other) ?? []);
  if (replicas.length - unusable.length >= required) return undefined;
  return `it takes ${required} of ${names}, up and normal: ${unusable.join('; ')}`;
}

/** Undefined when it is up and normal. */
function whyUnusable({ nodeId, address, report }: Source): string | undefined {
  if (report === undefined) return `${nodeId} does not answer at ${address}`;
  if (report.storeState === 'failed') return `the store of ${nodeId} has failed`;
  if (report.status === 'normal' && report.storeState === 'ok') return undefined;
  return report.waitsFor === ''
    ? `${nodeId} is ${report.status}`
    : `${nodeId} is ${report.status} and waits for ${report.waitsFor}`;
}
