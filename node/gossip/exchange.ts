import {
  applyDelta,
  type Delta,
  type Digest,
  deltaSince,
  digestOf,
  type GossipState,
  maxVersion,
  type StateChange,
} from './state.js';

/** The three messages of a round: SYN (digests), ACK (what you lack, what I lack), ACK2 (what you lack). */

export function digestsOf(state: GossipState): Digest[] {
  return [...state.values()].map(digestOf);
}

/**
 * The answer to somebody's digests: deltas of what they lack, endpoints that they do not name included, and
 * as requests the digests of what we lack.
 */
export function answerDigests(
  state: GossipState,
  digests: readonly Digest[],
): { requests: Digest[]; deltas: Delta[] } {
  const requests: Digest[] = [];
  const deltas: Delta[] = [];
  const named = new Set<string>();
  for (const digest of digests) {
    const { nodeId, generation } = digest;
    named.add(nodeId);
    const mine = state.get(nodeId);
    if (mine === undefined || mine.generation < generation) {
      requests.push({ nodeId, generation, maxVersion: 0 });
    } else if (mine.generation > generation) {
      deltas.push(deltaSince(mine, 0));
    } else {
      const known = maxVersion(mine);
      if (known > digest.maxVersion) deltas.push(deltaSince(mine, digest.maxVersion));
      else if (known < digest.maxVersion) requests.push({ nodeId, generation, maxVersion: known });
    }
  }
  for (const [nodeId, endpoint] of state) if (!named.has(nodeId)) deltas.push(deltaSince(endpoint, 0));
  return { requests, deltas };
}

/** What was asked for, as far as it is known. */
export function answerRequests(state: GossipState, requests: readonly Digest[]): Delta[] {
  const deltas: Delta[] = [];
  for (const { nodeId, generation, maxVersion: since } of requests) {
    const mine = state.get(nodeId);
    if (mine === undefined || mine.generation < generation) continue;
    deltas.push(deltaSince(mine, mine.generation === generation ? since : 0));
  }
  return deltas;
}

/** Which endpoints are taken in: those expected, and others while there are fewer than `maxEndpoints` in all. */
export interface Room {
  expected: ReadonlySet<string>;
  maxEndpoints: number;
}

/** Applies deltas and tells what they changed. Bounded by `room`, so that no peer can fill the memory. */
export function applyDeltas(
  state: GossipState,
  deltas: readonly Delta[],
  room: Room,
): { state: GossipState; changes: StateChange[] } {
  const next = new Map(state);
  const changes: StateChange[] = [];
  for (const delta of deltas) {
    const { nodeId } = delta;
    const before = next.get(nodeId);
    if (before === undefined && !room.expected.has(nodeId) && next.size >= room.maxEndpoints) continue;
    const after = applyDelta(before, delta);
    if (after === undefined || after === before) continue;
    next.set(nodeId, after);
    const restarted = before === undefined || after.generation > before.generation;
    changes.push({ nodeId, restarted, beat: restarted || after.heartbeat > before.heartbeat });
  }
  return { state: changes.length === 0 ? state : next, changes };
}
