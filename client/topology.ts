import { buildRing } from '../node/ring/build.js';
import type { ReplicaSet, Ring } from '../node/ring/ring.js';
import { type Clock, sleep, type TimerHandle, type Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import { type Random, randomBelow } from '../ports/random.js';
import type { ClusterDescription } from '../proto/calls.js';
import { tokenOf } from '../proto/entry.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { isLocal, type LevelContext } from './levels.js';
import { type KnownNode, NodeTable } from './node-table.js';
import { chooseCoordinator } from './routing.js';
import type { ClientTransport, NodeConnection } from './transport.js';

export interface TopologyParts {
  transport: ClientTransport;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  contactPoints: readonly string[];
  localDatacenter: string | undefined;
  /** Of one describe. */
  timeoutMs: number;
}

const REFRESH_INTERVAL_MS = 5_000;
/** After the first contact point answered, the others may still show that they belong to another cluster. */
const GRACE_MS = 250;

/** What the client knows of the cluster: ring, rollups, nodes. Refreshes itself. */
export class Topology {
  readonly nodes: NodeTable;
  readonly levels: LevelContext;
  readonly #parts: TopologyParts;
  #description: ClusterDescription;
  #ring: Ring;
  #turn = 0;
  #refreshing: Promise<void> | undefined;
  #timer: TimerHandle | undefined;
  #closed = false;

  private constructor(parts: TopologyParts, description: ClusterDescription) {
    this.#parts = parts;
    this.#description = description;
    this.#ring = ringOf(description);
    this.nodes = new NodeTable(parts);
    this.nodes.update(description.nodes);
    const answered = description.nodes.find((node) => node.nodeId === description.nodeId);
    const localDatacenter = parts.localDatacenter ?? answered?.datacenter ?? '';
    this.levels = { replication: description.replication, localDatacenter };
    this.#scheduleRefresh();
  }

  /**
   * Asks all contact points. Throws UNAVAILABLE when none answers, FAILED_PRECONDITION when they belong to
   * different clusters.
   */
  static async open(parts: TopologyParts): Promise<Topology> {
    const contacts = parts.contactPoints.map((address) => parts.transport.connect(address));
    try {
      const description = await firstDescription(contacts, parts);
      const { localDatacenter } = parts;
      if (localDatacenter !== undefined && description.replication[localDatacenter] === undefined) {
        throw new TallyringError(
          'INVALID_ARGUMENT',
          `cluster ${description.cluster} has no datacenter ${localDatacenter}; it has ` +
            Object.keys(description.replication).join(', '),
        );
      }
      return new Topology(parts, description);
    } finally {
      for (const contact of contacts) contact.close();
    }
  }

  get description(): ClusterDescription {
    return this.#description;
  }

  replicasOf(token: bigint): ReplicaSet {
    return this.#ring.replicasOf(token);
  }

  replicasOfKey(key: string): ReplicaSet {
    return this.#ring.replicasOf(tokenOf(key));
  }

  /** The coordinator for these replicas; see `chooseCoordinator`. */
  choose(
    replicas: readonly string[],
    wish: {
      level?: ConsistencyLevel | undefined;
      avoid?: ReadonlySet<string> | undefined;
      except?: ReadonlySet<string> | undefined;
    } = {},
  ): KnownNode | undefined {
    const { localDatacenter } = this.levels;
    const localOnly = wish.level !== undefined && isLocal(wish.level);
    const { avoid, except } = wish;
    return chooseCoordinator(
      this.nodes.all(),
      { replicas, localDatacenter, localOnly, avoid, except },
      this.#turn++,
    );
  }

  /** Learns the ring anew from a node that is up; never rejects. Concurrent calls share one round. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const tried = new Set<string>();
    for (;;) {
      const node = this.choose([], { except: tried });
      if (node === undefined || this.#closed) return;
      tried.add(node.nodeId);
      try {
        const description = await node.connection.describe({ timeoutMs: this.#parts.timeoutMs });
        this.nodes.succeeded(node.nodeId);
        this.#adopt(description);
        return;
      } catch (error) {
        this.nodes.failed(node.nodeId, asTallyringError(error));
      }
    }
  }

  #adopt(description: ClusterDescription): void {
    const { cluster, ringEpoch } = this.#description;
    if (this.#closed || description.ringEpoch < ringEpoch) return;
    if (description.cluster !== cluster) {
      const { nodeId } = description;
      this.#parts.logger.error(
        { nodeId, cluster: description.cluster },
        `answers for another cluster than ${cluster}`,
      );
      return;
    }
    if (description.ringEpoch > ringEpoch) this.#ring = ringOf(description);
    this.#description = description;
    this.nodes.update(description.nodes);
  }

  #scheduleRefresh(): void {
    const delayMs = REFRESH_INTERVAL_MS + randomBelow(this.#parts.random, 500);
    this.#timer = this.#parts.timers.after(delayMs, () => {
      void this.refresh().then(() => {
        if (!this.#closed) this.#scheduleRefresh();
      });
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.nodes.close();
  }
}

function ringOf(description: ClusterDescription): Ring {
  const { ringEpoch: epoch, vnodes, replication, nodes } = description;
  return buildRing({ epoch, vnodes, replication, nodes });
}

async function firstDescription(
  contacts: readonly NodeConnection[],
  parts: TopologyParts,
): Promise<ClusterDescription> {
  const { timeoutMs, timers } = parts;
  const answers: { address: string; description: ClusterDescription }[] = [];
  const refusals: string[] = [];
  const asked = contacts.map(async (contact) => {
    const description = await contact.describe({ timeoutMs });
    answers.push({ address: contact.address, description });
  });
  const told = asked.map((answer, i) =>
    answer.catch((error) => {
      refusals.push(`${contacts[i]!.address}: ${asTallyringError(error).message}`);
    }),
  );
  await Promise.any(asked).catch(() => {});
  if (answers.length > 0) await Promise.race([Promise.all(told), sleep(timers, GRACE_MS)]);
  const [first] = answers;
  if (first === undefined) {
    throw new TallyringError(
      'UNAVAILABLE',
      `no contact point answers (${refusals.join('; ')}); check the addresses and that the cluster runs`,
      { mayHaveApplied: false },
    );
  }
  const other = answers.find(({ description }) => description.cluster !== first.description.cluster);
  if (other !== undefined) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `${first.address} belongs to cluster ${first.description.cluster}, ${other.address} to ` +
        `${other.description.cluster}; give contact points of one cluster`,
    );
  }
  return answers.reduce((a, b) => (b.description.ringEpoch > a.description.ringEpoch ? b : a)).description;
}
