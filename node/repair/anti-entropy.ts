import { type Random, randomBelow } from '../../ports/random.js';
import { asTallyringError } from '../../proto/errors.js';
import type { NodeContext } from '../quorum/context.js';
import { Exchange } from './exchange.js';
import { branchNode, differing, FANOUT, type HashTree, LeafSet, ROOT } from './hash-tree.js';

const REQUEST_MS = 5_000;

export interface AntiEntropyParts {
  context: NodeContext;
  tree: HashTree;
  random: Random;
}

/**
 * Always on: every interval this node compares its hash tree with that of one live peer and exchanges what
 * differs. One round at a time.
 */
export class AntiEntropy {
  readonly #parts: AntiEntropyParts;
  readonly #exchange: Exchange;
  #stopped = false;

  constructor(parts: AntiEntropyParts) {
    this.#parts = parts;
    this.#exchange = new Exchange(parts.context, parts.context.limits.antiEntropyEntriesPerSecond);
  }

  start(): void {
    const { context, random } = this.#parts;
    const { antiEntropyIntervalMs } = context.limits;
    const delayMs = antiEntropyIntervalMs * (0.75 + random.next() / 2); // so that nodes do not march in step
    context.timers.after(delayMs, () => {
      void this.#round().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #round(): Promise<void> {
    const { context, random } = this.#parts;
    const peers = this.#candidates();
    const peer = peers[randomBelow(random, peers.length)];
    if (peer === undefined) return;
    try {
      const result = await this.compareWith(peer);
      context.metrics.antiEntropyRounds.inc({ result });
    } catch (error) {
      context.metrics.antiEntropyRounds.inc({ result: 'failed' });
      const { code, message } = asTallyringError(error);
      context.logger.debug({ peer, code }, `anti-entropy round failed: ${message}`);
    }
  }

  /** Live nodes that replicate something that this one replicates too. */
  #candidates(): string[] {
    const { context } = this.#parts;
    const { nodeId, membership } = context;
    const sharing = new Set<string>();
    for (const { nodeIds } of context.ring().replicaSets) {
      if (nodeIds.includes(nodeId)) for (const other of nodeIds) sharing.add(other);
    }
    sharing.delete(nodeId);
    return [...sharing].filter((other) => membership.isLive(other)).sort();
  }

  /** One comparison, from the root down to the leaves that differ, and the exchange of those. */
  async compareWith(peer: string): Promise<'equal' | 'repaired'> {
    const { context } = this.#parts;
    const leaves = new LeafSet();
    const branches = await this.#differing(peer, [ROOT]);
    if (branches.length === 0) return 'equal';
    const nodes = branches.map(branchNode);
    for (const leaf of await this.#differing(peer, nodes)) leaves.add(leaf);
    const { pulled, pushed } = await this.#exchange.run(peer, leaves);
    context.metrics.antiEntropyEntries.inc({ direction: 'pulled' }, pulled);
    context.metrics.antiEntropyEntries.inc({ direction: 'pushed' }, pushed);
    if (pulled + pushed > 0) {
      context.logger.info({ peer, leaves: leaves.size, pulled, pushed }, 'anti-entropy made a peer equal');
    }
    return 'repaired';
  }

  /** Children of these nodes that differ: branches of the root, or leaves. */
  async #differing(peer: string, nodes: number[]): Promise<number[]> {
    const { context, tree } = this.#parts;
    const body = { epoch: context.ring().epoch, nodes };
    const { hashes } = await context.peers.request(peer, 'treeHashes', body, REQUEST_MS);
    return nodes.flatMap((node, i) => {
      const mine = tree.children(node, [context.nodeId, peer]);
      const first = node === ROOT ? 0 : (node - 1) * FANOUT;
      return differing(mine, hashes[i] ?? Buffer.alloc(mine.length)).map((child) => first + child);
    });
  }
}
