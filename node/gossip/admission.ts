import { hash64Text } from '../../ports/hash.js';
import { TallyringError } from '../../proto/errors.js';
import type { ClusterConfig } from '../config.js';
import type { Header } from './codec.js';
import { type Delta, type EndpointState, factOf } from './state.js';

/** As in Cassandra: nobody's clock is a year ahead; such a generation could never be outdone. */
export const MAX_GENERATION_AHEAD_MS = 365 * 86_400_000;

/** Hash of what must be equal on all nodes (rollups and replication), and of nothing else. */
export function configHash(config: Pick<ClusterConfig, 'rollups' | 'replication'>): string {
  const replication = Object.entries(config.replication).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([[...new Set(config.rollups)].sort(), replication]);
  return hash64Text(text).toString(16).padStart(16, '0');
}

/** What this node holds a message's sender against. */
export interface AdmissionView {
  cluster: string;
  configHash: string;
  wallMs: number;
  /** What is known of the sender (of the endpoint, for a delta). */
  known: EndpointState | undefined;
  /** Whether that known one was heard of just now. */
  isBeating: boolean;
}

/** Why a message is refused, before anything of it is used; `undefined` when it is not. */
export function refusalOf(header: Header, from: string, view: AdmissionView): string | undefined {
  const who = `node ${header.nodeId}`;
  if (header.cluster !== view.cluster) {
    return `${who} belongs to cluster ${header.cluster}, not ${view.cluster}: check the addresses in cluster.yml`;
  }
  if (header.nodeId !== from) {
    return `${who} answers or asks under the name ${from}: check the addresses in cluster.yml`;
  }
  if (header.configHash !== view.configHash) {
    return `${who} has other rollups or another replication in its cluster.yml: they must be equal on all nodes`;
  }
  return refusalOfIdentity(header, view);
}

/**
 * Why one endpoint's delta is not taken in; the others of its message are. Old gossip is no reason: merging
 * drops it.
 */
export function refusalOfDelta(delta: Delta, view: AdmissionView): string | undefined {
  const { nodeId, generation } = delta;
  if (view.known !== undefined && generation < view.known.generation) return undefined;
  const isSameProcess = generation === view.known?.generation;
  const told =
    delta.facts.get('storeId')?.value ?? (isSameProcess ? factOf(view.known, 'storeId') : undefined);
  return refusalOfIdentity({ nodeId, generation, storeId: String(told ?? '') }, view);
}

function refusalOfIdentity(
  { nodeId, generation, storeId }: Pick<Header, 'nodeId' | 'generation' | 'storeId'>,
  { known, isBeating, wallMs }: AdmissionView,
): string | undefined {
  if (generation > wallMs + MAX_GENERATION_AHEAD_MS) {
    return `node ${nodeId} has a generation over a year ahead: check both clocks`;
  }
  const knownStore = factOf(known, 'storeId') ?? '';
  if (isBeating && knownStore !== '' && storeId !== knownStore) {
    return `node ${nodeId} is already live with store ${knownStore}, not ${storeId || 'none'}: two processes claim one nodeId`;
  }
  return undefined;
}

export function refused(reason: string): TallyringError {
  return new TallyringError('FAILED_PRECONDITION', reason);
}
