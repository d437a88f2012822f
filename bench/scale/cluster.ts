import { clusterSchema, VERSION } from '../../node/config.js';
import { configHash } from '../../node/gossip/admission.js';
import { Gossiper } from '../../node/gossip/gossiper.js';
import type { Facts } from '../../node/gossip/membership.js';
import { createMetrics } from '../../node/metrics.js';
import type { TimerHandle } from '../../ports/clock.js';
import { SeededRandom } from '../../test/simulation/seeded-random.js';
import { VirtualTime } from '../../test/simulation/virtual-time.js';
import { ScaleNetwork } from './network.js';

export interface ClusterOptions {
  nodes: number;
  seed: number;
  /** Messages that vanish, of requests and of answers. */
  lossRate?: number;
  /**
   * Arrival intervals kept per endpoint. A run of fewer beats than this cannot tell the difference; the
   * product's 1,000 of them for each of 1,000 × 1,000 pairs would be 8 GB in this one process.
   */
  phiWindowSize?: number;
}

/** One simulated process. Its timers, and what is sent to it, wait while it is paused. */
export interface Member {
  nodeId: string;
  index: number;
  /** absent: nobody listens there, connections are refused. silent: the machine is gone, nothing comes back. */
  state: 'up' | 'absent' | 'silent';
  pausedUntilMs: number;
  gossiper: Gossiper | undefined;
  /** Peers asked since its last round began. */
  asked: Set<string>;
}

export const GOSSIP = clusterSchema.shape.gossip.parse({});
/** As in an ordinary cluster.yml: a few nodes are seeds, however large the cluster. */
const SEEDS = 3;

/** Gossipers of the product on a simulated network, all in one process, under virtual time. */
export class GossipCluster {
  readonly time: VirtualTime;
  readonly members: readonly Member[];
  readonly network: ScaleNetwork;
  rounds = 0;
  /** A node convicted another one. */
  onConviction: (observer: string, subject: string) => void = () => {};
  readonly #options: ClusterOptions;
  readonly #random: SeededRandom;
  readonly #nodeIds: string[];
  /** One for all: a registry for each of a thousand nodes would measure nothing. */
  readonly #metrics = createMetrics('all');

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    this.time = new VirtualTime(this.#random.fork('time'));
    this.#nodeIds = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
    this.members = this.#nodeIds.map((nodeId, index) => ({
      nodeId,
      index,
      state: 'absent',
      pausedUntilMs: 0,
      gossiper: undefined,
      asked: new Set<string>(),
    }));
    this.network = new ScaleNetwork({
      time: this.time,
      random: this.#random.fork('network'),
      members: this.members,
      lossRate: options.lossRate ?? 0,
      afterFor: (member, delayMs, callback) => this.#afterFor(member, delayMs, callback),
    });
  }

  /** Starts those of the members that were not held back, each at its own moment of the first second. */
  startAll(heldBack: readonly Member[] = []): void {
    for (const member of this.members) {
      if (heldBack.includes(member)) continue;
      const random = this.#random.fork(`start/${member.nodeId}`);
      this.time.after(random.between(0, GOSSIP.gossipIntervalMs), () => this.start(member));
    }
  }

  start(member: Member): void {
    const { nodeId } = member;
    const clock = this.time.clock();
    const peers = this.network.peersOf(member);
    let rounds = 0;
    member.state = 'up';
    member.gossiper = new Gossiper({
      cluster: 'scale',
      configHash: configHash({ rollups: ['total'], replication: { dc1: 3 } }),
      nodeId,
      generation: clock.wallMs(),
      facts: firstFacts(member),
      seeds: this.#nodeIds.slice(0, SEEDS),
      knownNodes: this.#nodeIds,
      config: { ...GOSSIP, phiWindowSize: this.#options.phiWindowSize ?? GOSSIP.phiWindowSize },
      clock,
      timers: { after: (delayMs, callback) => this.#afterFor(member, delayMs, callback) },
      random: this.#random.fork(`gossip/${nodeId}`),
      peers,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      metrics: this.#metrics,
      // A busy node: all that may change from round to round does.
      refresh: () => {
        member.asked.clear();
        this.rounds++;
        const batch = 50 * ++rounds;
        return { wallMs: clock.wallMs(), syncedBatch: batch, load: 1_000 + (batch % 700) };
      },
      onLiveness: (subject, live) => {
        // A node that refuses connections is not live either, but nobody has convicted it.
        if (!live && peers.isConnected(subject)) this.onConviction(nodeId, subject);
      },
    });
    member.gossiper.start();
  }

  #afterFor(member: Member, delayMs: number, callback: () => void): TimerHandle {
    let handle: TimerHandle;
    const fire = () => {
      if (member.state === 'silent') return;
      const waitMs = member.pausedUntilMs - this.time.nowMs;
      if (waitMs > 0) handle = this.time.after(waitMs, fire);
      else callback();
    };
    handle = this.time.after(delayMs, fire);
    return { cancel: () => handle.cancel() };
  }
}

function firstFacts({ index }: Member): Facts {
  return {
    status: 'normal',
    host: `10.0.${index >> 8}.${index & 255}`,
    port: 7_000,
    datacenter: 'dc1',
    rack: `r${(index % 3) + 1}`,
    ringEpoch: 1,
    storeId: index.toString(16).padStart(32, '0'),
    syncedBatch: 0,
    storeState: 'ok',
    wallMs: 0,
    load: 0,
    version: VERSION,
    configHash: '0123456789abcdef',
  };
}
