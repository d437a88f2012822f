import { type Random, randomBelow } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { NodeContext } from '../quorum/context.js';
import { Exchange } from './exchange.js';
import { branchNode, differing, FANOUT, type HashTree, LeafSet, ROOT } from './hash-tree.js';
import { QuietLeaves } from './quiet-leaves.js';

const REQUEST_MS = 5_000;
/** Of 4,096: what one round looks into while writes make all leaves differ. */
const MOST_NOISY_LEAVES = 64;
/** A difference is looked at again this soon, to tell whether it was of the moment. */
const LOOK_AGAIN_MS = 1_000;

export interface AntiEntropyParts {
  /** Told of a peer that was found to hold all that both replicate. */
  onEqual?(peer: string): void;
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
  readonly #quiet = new QuietLeaves(MOST_NOISY_LEAVES);
  /** The peer of a round that left leaves unexchanged. */
  #again: string | undefined;
  #stopped = false;

  constructor(parts: AntiEntropyParts) {
    this.#parts = parts;
    this.#exchange = new Exchange(parts.context, parts.context.limits.antiEntropyEntriesPerSecond);
  }

  start(): void {
    const { context, random } = this.#parts;
    const { antiEntropyIntervalMs } = context.limits;
    const intervalMs = this.#again === undefined ? antiEntropyIntervalMs : LOOK_AGAIN_MS;
    const delayMs = intervalMs * (0.75 + random.next() / 2); // so that nodes do not march in step
    context.timers.after(delayMs, () => {
      if (this.#stopped) return;
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
    // Once: under steady load every round leaves something.
    const again = this.#again !== undefined && peers.includes(this.#again) ? this.#again : undefined;
    this.#again = undefined;
    const peer = again ?? peers[randomBelow(random, peers.length)];
    if (peer === undefined) return;
    try {
      const result = await this.compareWith(peer);
      if (result === 'busy' && again === undefined) this.#again = peer;
      if (result === 'equal') this.#parts.onEqual?.(peer);
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

  /**
   * One comparison, from the root down to the leaves that differ, and the exchange of those that do not just
   * differ for the moment. Resolves with what it found.
   */
  async compareWith(peer: string): Promise<'equal' | 'repaired' | 'busy'> {
    const { context } = this.#parts;
    const branches = await this.#differing(peer, [ROOT]);
    const nodes = branches.map(({ at }) => branchNode(at));
    const found = nodes.length === 0 ? [] : await this.#differing(peer, nodes);
    const choice = this.#quiet.choose(
      peer,
      found.map(({ at, mine, theirs }) => ({ leaf: at, mine, theirs })),
    );
    if (found.length === 0) return 'equal';
    const leaves = new LeafSet();
    for (const leaf of choice.leaves) leaves.add(leaf);
    const { pulled, pushed } = await this.#exchange.run(peer, leaves);
    context.metrics.antiEntropyEntries.inc({ direction: 'pulled' }, pulled);
    context.metrics.antiEntropyEntries.inc({ direction: 'pushed' }, pushed);
    if (pulled + pushed > 0) {
      context.logger.debug(
        { peer, leaves: choice.leaves.length, pulled, pushed },
        'anti-entropy moved entries',
      );
    }
    return choice.left > 0 ? 'busy' : 'repaired';
  }

  /** Children of these nodes that differ: branches of the root, or leaves. */
  async #differing(peer: string, nodes: number[]) {
    const { context, tree } = this.#parts;
    const body = { epoch: context.ring().epoch, nodes };
    const { hashes } = await context.peers.request(peer, 'treeHashes', body, REQUEST_MS);
    return nodes.flatMap((node, i) => {
      const mine = tree.children(node, [context.nodeId, peer]);
      const first = node === ROOT ? 0 : (node - 1) * FANOUT;
      const theirs = hashes[i];
      if (theirs?.length !== mine.length) throw malformedHashes(peer);
      return differing(mine, theirs).map(({ child, ...both }) => ({ at: first + child, ...both }));
    });
  }
}

function malformedHashes(peer: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `${peer} answered with malformed tree hashes`);
}
