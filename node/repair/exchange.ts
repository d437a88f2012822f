import { sleep } from '../../ports/clock.js';
import { bytesOf, decodeBatch, encodeBatch } from '../../proto/batch.js';
import { type Entry, isIntact } from '../../proto/entry.js';
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

/** What the peer holds: all of its keys up to `to` (exclusive), with 8 bytes of hash each. */
interface Listed {
  keys: Buffer[];
  hashes: Buffer;
  to: Buffer;
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

  /** `onPage` is told, page by page, how many of the peer's entries were compared, and how many of them taken. */
  async run(
    peer: string,
    leaves: LeafSet,
    onPage?: (page: { compared: number; pulled: number }) => void,
  ): Promise<Exchanged> {
    const total: Exchanged = { pulled: 0, pushed: 0, whole: true };
    let from: Buffer = FIRST_ENTRY;
    let after: Buffer | undefined;
    let theirs: Listed = { keys: [], hashes: Buffer.alloc(0), to: FIRST_ENTRY };
    for (;;) {
      if (theirs.to.compare(from) <= 0) {
        const { whole, ...page } = await this.#list(peer, leaves, after);
        total.whole &&= whole;
        theirs = page;
        after = page.keys.at(-1);
      }
      const { entries: mine, to } = await this.#sharedWith(peer, leaves, { from, to: theirs.to });
      const [now, later] = splitAt(theirs, to);
      const moved = await this.#settle(peer, compare(mine, now.keys, now.hashes));
      onPage?.({ compared: now.keys.length, pulled: moved.pulled });
      total.pulled += moved.pulled;
      total.pushed += moved.pushed;
      total.whole &&= moved.whole;
      if (to === END_OF_ENTRIES) return total;
      [theirs, from] = [later, to];
      const cost = moved.pulled + moved.pushed + (now.keys.length + mine.length) / SCANS_PER_MOVE;
      await sleep(this.#context.timers, (cost * 1000) / this.#perSecond);
    }
  }

  /** The next page of what the peer holds, and up to where that is all. */
  async #list(
    peer: string,
    leaves: LeafSet,
    after: Buffer | undefined,
  ): Promise<Listed & { whole: boolean }> {
    const { peers, ring } = this.#context;
    const body = { epoch: ring().epoch, leaves: leaves.bits, limit: PAGE_ENTRIES, ...(after && { after }) };
    const { keys, hashes, more, whole } = await peers.request(peer, 'leafEntries', body, REQUEST_MS);
    const last = keys.at(-1);
    return { keys, hashes, whole, to: more && last !== undefined ? successor(last) : END_OF_ENTRIES };
  }

  /**
   * This node's own entries of the interval that the peer replicates too, and up to where they are all: a page,
   * however many it holds that the peer does not.
   */
  async #sharedWith(
    peer: string,
    leaves: LeafSet,
    range: { from: Buffer; to: Buffer },
  ): Promise<{ entries: Entry[]; to: Buffer }> {
    const { replica } = this.#context;
    const { entries, more } = await scanLeaves(replica.store, leaves, { ...range, limit: PAGE_ENTRIES });
    const last = entries.at(-1);
    return {
      entries: entries.filter((entry) => this.#context.replicates(entry.key, peer)),
      to: more && last !== undefined ? successor(last.key) : range.to,
    };
  }

  /** Not whole: the peer gave less than it had listed, because a record went bad meanwhile. */
  async #settle(peer: string, { theirs, mine }: Differences): Promise<Exchanged> {
    const { peers, replica } = this.#context;
    const epoch = this.#context.ring().epoch;
    const push = [...mine];
    let pulled = 0;
    for (let at = 0; at < theirs.length; ) {
      const keys = theirs.slice(at, at + PAGE_ENTRIES);
      const { batch, looked } = await peers.request(peer, 'fetch', { epoch, keys }, REQUEST_MS);
      at += Math.max(1, looked);
      const fetched = decodeBatch(batch).filter(isIntact);
      await replica.merge(fetched);
      pulled += fetched.length;
      const held = await replica.store.get(fetched.map((entry) => entry.key));
      for (const [i, entry] of held.entries()) {
        if (entry !== undefined && !entry.value.equals(fetched[i]!.value)) push.push(entry);
      }
    }
    for (const some of batchesOf(push, this.#context.limits.maxBatchBytes)) {
      await peers.request(peer, 'merge', { epoch, batch: encodeBatch(some) }, REQUEST_MS);
    }
    return { pulled, pushed: push.length, whole: pulled === theirs.length };
  }
}

/** Slices that a message holds, at least one entry each. */
function* batchesOf(entries: readonly Entry[], maxBytes: number): Generator<Entry[]> {
  let some: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (some.length === PAGE_ENTRIES || (some.length > 0 && bytes + bytesOf(entry) > maxBytes)) {
      yield some;
      [some, bytes] = [[], 0];
    }
    some.push(entry);
    bytes += bytesOf(entry);
  }
  if (some.length > 0) yield some;
}

/** The keys before `to`, and the others. */
function splitAt({ keys, hashes, to: end }: Listed, to: Buffer): [Listed, Listed] {
  let at = keys.length;
  while (at > 0 && keys[at - 1]!.compare(to) >= 0) at--;
  return [
    { keys: keys.slice(0, at), hashes: hashes.subarray(0, at * HASH_BYTES), to },
    { keys: keys.slice(at), hashes: hashes.subarray(at * HASH_BYTES), to: end },
  ];
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
