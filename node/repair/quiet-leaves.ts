/** A leaf in which two replicas differ, and the hash of each. */
export interface DifferingLeaf {
  leaf: number;
  mine: bigint;
  theirs: bigint;
}

/**
 * Which differing leaves to exchange in this round. Under load every leaf differs for the moment that a write
 * takes to reach all replicas; a leaf that differed in the last comparison with the same two hashes is quiet,
 * so what differs there is missing. All quiet leaves are exchanged, and of the others a bounded number, in
 * turn, so that repair never stops and never costs more than that.
 */
export class QuietLeaves {
  readonly #mostNoisy: number;
  readonly #last = new Map<string, Map<number, DifferingLeaf>>();
  #turn = 0;

  constructor(mostNoisy: number) {
    this.#mostNoisy = mostNoisy;
  }

  choose(peer: string, differing: readonly DifferingLeaf[]): { leaves: number[]; left: number } {
    const before = this.#last.get(peer);
    this.#last.set(peer, new Map(differing.map((one) => [one.leaf, one])));
    const quiet: number[] = [];
    const noisy: number[] = [];
    for (const { leaf, mine, theirs } of differing) {
      const last = before?.get(leaf);
      if (last !== undefined && last.mine === mine && last.theirs === theirs) quiet.push(leaf);
      else noisy.push(leaf);
    }
    const first = noisy.length === 0 ? 0 : this.#turn % noisy.length;
    const some = [...noisy.slice(first), ...noisy.slice(0, first)].slice(0, this.#mostNoisy);
    this.#turn += some.length;
    return { leaves: [...quiet, ...some], left: noisy.length - some.length };
  }
}
