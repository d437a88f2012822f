import { tokenOfEntry } from '../../proto/entry.js';
import { memberGroups } from '../ring/members.js';
import type { Ring } from '../ring/ring.js';

/** The token space in 4,096 leaves under 64 branches under one root; a node is named by its number. */
export const LEAVES = 4_096;
export const FANOUT = 64;
export const ROOT = 0;
const FIRST_BRANCH = 1;
const HASH_WORDS = 2;
export const HASH_BYTES = 8;

export const branchNode = (branch: number): number => FIRST_BRANCH + branch;

/** The leaf of an entry: the top 12 bits of its token. */
export function leafOf(entryKey: Buffer): number {
  return entryKey.readUInt16BE(6) >>> 4;
}

/**
 * XOR of the hashes of a store's entries, per leaf and per group of replicas, changed with every merge. Two
 * replicas compare what both replicate: the XOR over the groups that hold both (an entry's group is a
 * function of its token), so a comparison costs one small message however much is stored.
 */
export class HashTree {
  readonly #ring: Ring;
  readonly #leaves = new Map<number, Uint32Array>();

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Adds the hash of an entry, the last 8 bytes of its value, or takes it out: XOR does both. */
  toggle(entryKey: Buffer, value: Buffer): void {
    const hashAt = value.length - HASH_BYTES;
    this.toggleHash(entryKey, value.readInt32BE(hashAt), value.readInt32BE(hashAt + 4));
  }

  /** The same with the hash as two words. */
  toggleHash(entryKey: Buffer, high: number, low: number): void {
    const group = this.#groupOf(entryKey);
    let words = this.#leaves.get(group);
    if (words === undefined) {
      words = new Uint32Array(LEAVES * HASH_WORDS);
      this.#leaves.set(group, words);
    }
    const at = leafOf(entryKey) * HASH_WORDS;
    words[at] = words[at]! ^ high;
    words[at + 1] = words[at + 1]! ^ low;
  }

  /** Forgets all that was added to a leaf. */
  clearLeaf(leaf: number): void {
    for (const words of this.#leaves.values()) words.fill(0, leaf * HASH_WORDS, (leaf + 1) * HASH_WORDS);
  }

  /** Whether both nodes replicate an entry. */
  sharedBy(entryKey: Buffer, nodeA: string, nodeB: string): boolean {
    const members = memberGroups(this.#ring).members[this.#groupOf(entryKey)]!;
    return members.includes(nodeA) && members.includes(nodeB);
  }

  #groupOf(entryKey: Buffer): number {
    const { groupOf, members } = memberGroups(this.#ring);
    return members.length === 1 ? 0 : groupOf[this.#ring.replicasOf(tokenOfEntry(entryKey)).index]!;
  }

  /**
   * Hashes of the 64 children of the root or of a branch, over what both nodes replicate: 64 × 8 bytes.
   * Throws RangeError for any other node number.
   */
  children(node: number, pair: readonly [string, string]): Buffer {
    if (!Number.isInteger(node) || node < 0 || node >= FIRST_BRANCH + FANOUT)
      throw new RangeError('no such node');
    const perChild = node === ROOT ? FANOUT : 1;
    const first = node === ROOT ? 0 : (node - FIRST_BRANCH) * FANOUT;
    const words = new Uint32Array(FANOUT * HASH_WORDS);
    for (const [group, leaves] of this.#leaves) {
      const members = memberGroups(this.#ring).members[group]!;
      if (!members.includes(pair[0]) || !members.includes(pair[1])) continue;
      for (let leaf = 0; leaf < FANOUT * perChild; leaf++) {
        const child = Math.floor(leaf / perChild) * HASH_WORDS;
        const at = (first + leaf) * HASH_WORDS;
        words[child] = words[child]! ^ leaves[at]!;
        words[child + 1] = words[child + 1]! ^ leaves[at + 1]!;
      }
    }
    return Buffer.from(words.buffer);
  }
}

export interface DifferingChild {
  child: number;
  mine: bigint;
  theirs: bigint;
}

/** Which children differ between two answers of `children`. */
export function differing(mine: Buffer, theirs: Buffer): DifferingChild[] {
  const out: DifferingChild[] = [];
  for (let child = 0; child < FANOUT; child++) {
    const at = child * HASH_BYTES;
    const [ours, peers] = [mine.readBigUInt64BE(at), theirs.readBigUInt64BE(at)];
    if (ours !== peers) out.push({ child, mine: ours, theirs: peers });
  }
  return out;
}

/** A set of leaves as bits. */
export class LeafSet {
  readonly bits: Buffer;

  constructor(bits: Buffer = Buffer.alloc(LEAVES / 8)) {
    if (bits.length !== LEAVES / 8) throw new RangeError('a leaf set has 512 bytes');
    this.bits = bits;
  }

  static of(leaf: number): LeafSet {
    const set = new LeafSet();
    set.add(leaf);
    return set;
  }

  static all(): LeafSet {
    return new LeafSet(Buffer.alloc(LEAVES / 8, 0xff));
  }

  add(leaf: number): void {
    this.bits[leaf >> 3] = this.bits[leaf >> 3]! | (1 << (leaf & 7));
  }

  has(leaf: number): boolean {
    return (this.bits[leaf >> 3]! & (1 << (leaf & 7))) !== 0;
  }

  get size(): number {
    let size = 0;
    for (let leaf = 0; leaf < LEAVES; leaf++) if (this.has(leaf)) size++;
    return size;
  }

  /** The first leaf of the set at or after `leaf`. */
  next(leaf: number): number | undefined {
    for (let i = leaf; i < LEAVES; i++) if (this.has(i)) return i;
    return undefined;
  }
}
