import type { Clock, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import type { NodeDescription } from '../proto/calls.js';
import type { TallyringError } from '../proto/errors.js';
import { backoffMs } from './backoff.js';
import { coalesceGets } from './coalesced-gets.js';
import type { Candidate } from './routing.js';
import type { ClientTransport, NodeConnection } from './transport.js';

/** A node of the cluster as this client reaches it. */
export interface KnownNode extends Candidate {
  readonly address: string;
  readonly connection: NodeConnection;
}

/** What listeners learn of a node. */
export interface NodeInfo {
  nodeId: string;
  address: string;
  datacenter: string;
}

export type NodeEvent = 'nodeUp' | 'nodeDown';
export type NodeListener = (node: NodeInfo) => void;

interface Entry extends KnownNode {
  up: boolean;
  failures: number;
  gone: boolean;
}

/** Probes come at the pace of the backoff, at most so far apart, and each may take so long. */
const PROBE_TIMEOUT_MS = 1_000;

/**
 * Failures that speak of the node or of the way to it: asking another helps. A node that answers by its own
 * judgement says how many replicas it required.
 */
export function isUnreachable(error: TallyringError): boolean {
  if (error.required !== undefined) return false;
  switch (error.code) {
    case 'UNAVAILABLE':
    case 'WRITE_TIMEOUT':
    case 'READ_TIMEOUT':
    case 'STORE_FAILED':
    case 'CLOSED':
      return true;
    default:
      return false;
  }
}

export interface NodeTableParts {
  transport: ClientTransport;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
}

/**
 * The nodes, and this client's own verdict on each: down from the first call that does not get through, up
 * again when a probe does. What other nodes say of it only prompts a probe, so that a client on one side of
 * a partition goes by what it can reach.
 */
export class NodeTable {
  readonly #nodes = new Map<string, Entry>();
  readonly #listeners = new Map<NodeEvent, Set<NodeListener>>();
  readonly #parts: NodeTableParts;
  #closed = false;

  constructor(parts: NodeTableParts) {
    this.#parts = parts;
  }

  all(): Iterable<KnownNode> {
    return this.#nodes.values();
  }

  get(nodeId: string): KnownNode | undefined {
    return this.#nodes.get(nodeId);
  }

  /** Subscribes; the returned function ends it. */
  on(event: NodeEvent, listener: NodeListener): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** Takes over the nodes of a description: new ones are connected, those that left closed. */
  update(described: readonly NodeDescription[]): void {
    const there = new Set<string>();
    for (const node of described) {
      if (node.status === 'left') continue;
      there.add(node.nodeId);
      const entry = this.#upsert(node);
      if (!node.up && entry.up) this.#probe(entry);
    }
    for (const entry of this.#nodes.values()) if (!there.has(entry.nodeId)) this.#remove(entry);
  }

  #upsert({ nodeId, host, port, datacenter }: NodeDescription): Entry {
    const address = `${host}:${port}`;
    const known = this.#nodes.get(nodeId);
    if (known?.address === address && known.datacenter === datacenter) return known;
    if (known !== undefined) this.#remove(known);
    const connection = coalesceGets(this.#parts.transport.connect(address), this.#parts.clock);
    const entry = { nodeId, address, datacenter, connection, up: true, failures: 0, gone: false };
    this.#nodes.set(nodeId, entry);
    return entry;
  }

  #remove(entry: Entry): void {
    entry.gone = true;
    this.#nodes.delete(entry.nodeId);
    entry.connection.close();
  }

  /** A call to this node got an answer. */
  succeeded(nodeId: string): void {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || entry.up) return;
    entry.up = true;
    entry.failures = 0;
    this.#parts.logger.info({ nodeId, address: entry.address }, 'node is up');
    this.#tell('nodeUp', entry);
  }

  /** A call failed. Only what `isUnreachable` says something about the node. */
  failed(nodeId: string, error: TallyringError): void {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || !isUnreachable(error)) return;
    if (!entry.up || this.#closed) return;
    entry.up = false;
    this.#parts.logger.warn({ nodeId, address: entry.address, error: error.message }, 'node is down');
    this.#probeLater(entry);
    this.#tell('nodeDown', entry);
  }

  #tell(event: NodeEvent, { nodeId, address, datacenter }: Entry): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener({ nodeId, address, datacenter });
      } catch (error) {
        this.#parts.logger.error({ error }, `a ${event} listener threw`);
      }
    }
  }

  #probeLater(entry: Entry): void {
    entry.failures++;
    const delayMs = 5 * backoffMs(Math.min(entry.failures, 5), this.#parts.random);
    this.#parts.timers.after(delayMs, () => {
      if (!entry.gone && !this.#closed && !entry.up) this.#probe(entry);
    });
  }

  #probe(entry: Entry): void {
    entry.connection.describe({ timeoutMs: PROBE_TIMEOUT_MS }).then(
      () => this.succeeded(entry.nodeId),
      (error) => {
        if (entry.up) this.failed(entry.nodeId, error);
        else this.#probeLater(entry);
      },
    );
  }

  close(): void {
    this.#closed = true;
    for (const entry of this.#nodes.values()) this.#remove(entry);
  }
}
