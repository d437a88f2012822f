import type { Facts } from './membership.js';

/**
 * What is gossiped, after Cassandra's Gossiper: each node owns one endpoint state and is the only one that
 * changes it. Every change (a beat of the heart or a fact) takes the next number of the node's version; a
 * restart begins a new generation. Local judgement (liveness, when last heard) is kept apart from it.
 */
export type FactValue = string | number;

export interface VersionedFact {
  readonly value: FactValue;
  readonly version: number;
}

export interface EndpointState {
  readonly nodeId: string;
  /** Epoch milliseconds of the process's start, or more; a restart has a greater one. */
  readonly generation: number;
  /** Version of the newest heartbeat. */
  readonly heartbeat: number;
  /** By name. Facts of newer software are carried along. */
  readonly facts: ReadonlyMap<string, VersionedFact>;
}

export type GossipState = ReadonlyMap<string, EndpointState>;

/** How much of an endpoint somebody knows. */
export interface Digest {
  readonly nodeId: string;
  readonly generation: number;
  readonly maxVersion: number;
}

/** An endpoint state without the facts up to version `since`: for one who has those. */
export interface Delta extends EndpointState {
  readonly since: number;
}

/** What one applied delta changed. */
export interface StateChange {
  nodeId: string;
  /** Not known before, or a newer generation. */
  restarted: boolean;
  /** A newer heartbeat: the node was alive to make it. */
  beat: boolean;
}

export function maxVersion(endpoint: EndpointState): number {
  let max = endpoint.heartbeat;
  for (const { version } of endpoint.facts.values()) if (version > max) max = version;
  return max;
}

export function digestOf(endpoint: EndpointState): Digest {
  return { nodeId: endpoint.nodeId, generation: endpoint.generation, maxVersion: maxVersion(endpoint) };
}

export function deltaSince(endpoint: EndpointState, since: number): Delta {
  if (since === 0) return { ...endpoint, since };
  return {
    ...endpoint,
    since,
    facts: new Map([...endpoint.facts].filter(([, fact]) => fact.version > since)),
  };
}

/** The facts as an object, for those who use them. */
export function factsOf(endpoint: EndpointState): Partial<Facts> {
  return Object.fromEntries([...endpoint.facts].map(([name, fact]) => [name, fact.value])) as Partial<Facts>;
}

export function factOf<K extends keyof Facts>(
  endpoint: EndpointState | undefined,
  name: K,
): Facts[K] | undefined {
  return endpoint?.facts.get(name)?.value as Facts[K] | undefined;
}

/** One of this node's own heartbeats: the next version. */
export function beat(own: EndpointState): EndpointState {
  return { ...own, heartbeat: maxVersion(own) + 1 };
}

/** Sets facts of this node's own; those whose value is the same keep their version. 'left' is final. */
export function declareFacts(own: EndpointState, declared: Partial<Facts>): EndpointState {
  let version = maxVersion(own);
  const facts = new Map(own.facts);
  const left = factOf(own, 'status') === 'left';
  for (const [name, value] of Object.entries(declared)) {
    if (value === undefined || facts.get(name)?.value === value || (left && name === 'status')) continue;
    facts.set(name, { value, version: ++version });
  }
  return version === maxVersion(own) ? own : { ...own, facts };
}

/**
 * The newer of two states of one endpoint: the greater generation whole; within a generation the later
 * heartbeat and the later of each fact. Commutative, associative, idempotent. Returns `a` itself when `b`
 * adds nothing.
 */
export function mergeEndpoint(a: EndpointState, b: EndpointState): EndpointState {
  if (a.generation !== b.generation) return a.generation > b.generation ? a : b;
  let facts: Map<string, VersionedFact> | undefined;
  for (const [name, fact] of b.facts) {
    const mine = a.facts.get(name);
    if (mine === undefined || supersedes(name, fact, mine)) {
      facts ??= new Map(a.facts);
      facts.set(name, fact);
    }
  }
  if (facts === undefined && a.heartbeat >= b.heartbeat) return a;
  return { ...a, heartbeat: Math.max(a.heartbeat, b.heartbeat), facts: facts ?? a.facts };
}

/** Whether `fact` wins over `mine`. Who left does not come back within a generation, whatever is said later. */
function supersedes(name: string, fact: VersionedFact, mine: VersionedFact): boolean {
  if (name === 'status' && (fact.value === 'left') !== (mine.value === 'left')) return fact.value === 'left';
  if (fact.version !== mine.version) return fact.version > mine.version;
  // One version with two values is a bug of its owner; decided the same way everywhere, so that all agree.
  return `${typeof fact.value}${fact.value}` > `${typeof mine.value}${mine.value}`;
}

/**
 * Whether a newer generation may replace a node that left: only by a join, or in a ring later than the one
 * that it left in. So one that was removed does not come back by being started again.
 */
function mayReturn(current: EndpointState, next: EndpointState): boolean {
  if (factOf(current, 'status') !== 'left' || next.generation === current.generation) return true;
  return (
    factOf(next, 'status') === 'joining' ||
    (factOf(next, 'ringEpoch') ?? 0) > (factOf(current, 'ringEpoch') ?? 0)
  );
}

/**
 * Applies a delta to what is known of its endpoint; returns `current` itself when it adds nothing. A delta
 * that leaves a gap (it answers a question that a former process of this node asked) is dropped: taking its
 * versions without the facts before them would hide those for ever.
 */
export function applyDelta(current: EndpointState | undefined, delta: Delta): EndpointState | undefined {
  const { since, ...next } = delta;
  if (current === undefined || delta.generation > current.generation) {
    if (since > 0 || (current !== undefined && !mayReturn(current, next))) return current;
    return next;
  }
  if (delta.generation < current.generation || since > maxVersion(current)) return current;
  return mergeEndpoint(current, next);
}
