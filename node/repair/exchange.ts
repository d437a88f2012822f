import { sleep } from '../../ports/clock.js';
import { decodeBatch, type Entry, encodeBatch, isIntact } from '../../proto/entry.js';
import type { NodeContext } from '../quorum/context.js';
import { HASH_BYTES, type LeafSet } from './hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY, scanLeaves, successor } from './leaf-scan.js';

const PAGE_ENTRIES = 2_000;
/** Looking at an entry costs about a fifth of moving it. */
const SCANS_PER_MOVE = 5;
const REQUEST_MS = 5_000;

export interface Exchanged {
  pulled: number;
  pushed: number;
  /** The peer was not recovering while it answered: what it holds is all that it ever acknowledged. */
  whole: boolean;
}

interface Differences {
  /** Keys whose state the peer has and this node lacks, or has otherwise. */
  theirs: Buffer[];
  /** Entries that only this node has. */
  mine: Entry[];
}

/**
 * Makes two replicas equal in some leaves: pulls what differs from the peer, merges it, and pushes what this
 * node alone has or has newer. Entry by entry, in key order, throttled. Rejects when the peer does not answer.
 */
export class Exchange {
  readonly #context: NodeContext;
  readonly #perSecond: number;

  constructor(context: NodeContext, entriesPerSecond: number) {
    this.#context = context;
    this.#perSecond = entriesPerSecond;
  }

  async run(peer: string, leaves: LeafSet): Promise<Exchanged> {
    const { peers, timers } = this.#context;
    const total: Exchanged = { pulled: 0, pushed: 0, whole: true };
    let from: Buffer = FIRST_ENTRY;
    let after: Buffer | undefined;
    for (;;) {
      const epoch = this.#context.ring().epoch;
      const body = { epoch, leaves: leaves.bits, limit: PAGE_ENTRIES, ...(after && { after }) };
      const { keys, hashes, more, whole } = await peers.request(peer, 'leafEntries', body, REQUEST_MS);
      const last = keys.at(-1);
      const to = more && last !== undefined ? successor(last) : END_OF_ENTRIES;
      const mine = await this.#sharedWith(peer, leaves, { from, to });
      const moved = await this.#settle(peer, compare(mine, keys, hashes));
      total.whole &&= whole;
      total.pulled += moved.pulled;
      total.pushed += moved.pushed;
      if (!more || last === undefined) return total;
      [from, after] = [to, last];
      const cost = moved.pulled + moved.pushed + keys.length / SCANS_PER_MOVE;
      await sleep(timers, (cost * 1000) / this.#perSecond);
    }
  }

  /** This node's own entries of the interval that the peer replicates too. */
  async #sharedWith(peer: string, leaves: LeafSet, range: { from: Buffer; to: Buffer }): Promise<Entry[]> {
    const { replica } = this.#context;
    const limit = Number.POSITIVE_INFINITY;
    const { entries } = await scanLeaves(replica.store, leaves, { ...range, limit });
    return entries.filter((entry) => this.#context.replicates(entry.key, peer));
  }

  async #settle(peer: string, { theirs, mine }: Differences): Promise<Omit<Exchanged, 'whole'>> {
    const { peers, replica } = this.#context;
    const epoch = this.#context.ring().epoch;
    const push = [...mine];
    let pulled = 0;
    for (let at = 0; at < theirs.length; at += PAGE_ENTRIES) {
      const keys = theirs.slice(at, at + PAGE_ENTRIES);
      const { batch } = await peers.request(peer, 'fetch', { epoch, keys }, REQUEST_MS);
      const fetched = decodeBatch(batch).filter(isIntact);
      await replica.merge(fetched);
      pulled += fetched.length;
      const held = await replica.store.get(fetched.map((entry) => entry.key));
      for (const [i, entry] of held.entries()) {
        if (entry !== undefined && !entry.value.equals(fetched[i]!.value)) push.push(entry);
      }
    }
    for (let at = 0; at < push.length; at += PAGE_ENTRIES) {
      const batch = encodeBatch(push.slice(at, at + PAGE_ENTRIES));
      await peers.request(peer, 'merge', { epoch, batch }, REQUEST_MS);
    }
    return { pulled, pushed: push.length };
  }
}

/** Both lists are in key order. */
function compare(mine: readonly Entry[], keys: readonly Buffer[], hashes: Buffer): Differences {
  const out: Differences = { theirs: [], mine: [] };
  let i = 0;
  for (const [j, key] of keys.entries()) {
    while (i < mine.length && mine[i]!.key.compare(key) < 0) out.mine.push(mine[i++]!);
    const own = mine[i];
    if (own === undefined || !own.key.equals(key)) out.theirs.push(key);
    else {
      i++;
      const hash = own.value.subarray(own.value.length - HASH_BYTES);
      if (!hash.equals(hashes.subarray(j * HASH_BYTES, (j + 1) * HASH_BYTES))) out.theirs.push(key);
    }
  }
  while (i < mine.length) out.mine.push(mine[i++]!);
  return out;
}
