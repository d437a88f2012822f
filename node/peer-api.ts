import { bytesOf, encodeBatch } from '../proto/batch.js';
import type { Entry } from '../proto/entry.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import type { PeerRequest, ReplyBody, RequestBody } from '../proto/peer-message.js';
import type { Gossiper } from './gossip/gossiper.js';
import type { NodeContext } from './quorum/context.js';
import { packRows } from './quorum/replica.js';
import type { RegisterPeer } from './register-peer.js';
import { HASH_BYTES, type HashTree, LeafSet } from './repair/hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY, scanLeaves, successor } from './repair/leaf-scan.js';
import type { PeerMemory } from './repair/peer-memory.js';

const LARGEST_PAGE = 10_000;
/** Of a fetch: their entries are all in memory before it is known how large they are. */
const KEYS_AT_A_TIME = 100;

export interface PeerApiParts {
  context: NodeContext;
  gossiper: Gossiper;
  tree: HashTree;
  memory: PeerMemory;
  registers: RegisterPeer;
  /** The newest batch that the others may remember of this store. */
  toldBatch(): number;
}

/** What the hash tree says of nodes and leaves that there are not. */
function malformed(kind: string, error: RangeError): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `malformed ${kind}: ${error.message}`);
}

/** Answers what other nodes ask of this one. */
export class PeerApi {
  readonly #parts: PeerApiParts;

  constructor(parts: PeerApiParts) {
    this.#parts = parts;
  }

  async handle(from: string, request: PeerRequest): Promise<object> {
    const { peerRequests } = this.#parts.context.metrics;
    const { kind } = request;
    try {
      const reply = await this.#answer(from, request);
      peerRequests.inc({ kind, code: 'OK' });
      return reply;
    } catch (error) {
      const known = error instanceof RangeError ? malformed(kind, error) : asTallyringError(error);
      peerRequests.inc({ kind, code: known.code });
      throw known;
    }
  }

  async #answer(from: string, request: PeerRequest): Promise<object> {
    const { gossiper, context } = this.#parts;
    if ('epoch' in request.body) this.#refuseOldRing(request.body.epoch);
    switch (request.kind) {
      case 'gossipSyn':
        return { ack: gossiper.handleSyn(from, request.body.syn) };
      case 'gossipAck2':
        gossiper.handleAck2(from, request.body.ack2);
        return {};
      case 'merge': {
        const batch = await context.replica.mergeBatch(request.body.batch);
        // Not the number of this merge's batch while it is open whether the store was whole at its start.
        return { storeId: context.replica.store.storeId, batch: Math.min(batch, this.#parts.toldBatch()) };
      }
      case 'read':
        return packRows(await context.replica.read(request.body.queries, request.body.one));
      case 'remembered': {
        const { memory } = this.#parts;
        const { storeId } = request.body;
        const others = memory.storesOf(from).filter((id) => id !== storeId);
        return { batch: memory.batchOf(from, storeId), others };
      }
      case 'treeHashes':
        return this.#treeHashes(from, request.body);
      case 'leafEntries':
        return this.#leafEntries(from, request.body);
      case 'fetch':
        return this.#fetch(request.body.keys);
      case 'row':
        return this.#row(request.body.row);
      default:
        return this.#parts.registers.answer(from, request);
    }
  }

  /** What carries an older epoch than this node confirmed is refused, late messages included (DESIGN §3). */
  #refuseOldRing(epoch: number): void {
    const current = this.#parts.context.ring().epoch;
    if (epoch >= current) return;
    throw new TallyringError('STALE_RING', `ring epoch ${epoch} is old; it is ${current} now`);
  }

  #treeHashes(from: string, { nodes }: RequestBody<'treeHashes'>): ReplyBody<'treeHashes'> {
    const { tree, context } = this.#parts;
    return { hashes: nodes.map((node) => tree.children(node, [context.nodeId, from])) };
  }

  async #leafEntries(from: string, body: RequestBody<'leafEntries'>): Promise<ReplyBody<'leafEntries'>> {
    const { context } = this.#parts;
    const leaves = new LeafSet(body.leaves);
    const limit = Math.max(1, Math.min(body.limit, LARGEST_PAGE));
    const keys: Buffer[] = [];
    const hashes: Buffer[] = [];
    let start = body.after === undefined ? FIRST_ENTRY : successor(body.after);
    let more = true;
    while (more && keys.length < limit) {
      const page = await scanLeaves(context.replica.store, leaves, {
        from: start,
        to: END_OF_ENTRIES,
        limit: limit - keys.length,
      });
      for (const entry of page.entries) {
        if (!context.replicates(entry.key, from)) continue;
        keys.push(entry.key);
        hashes.push(entry.value.subarray(entry.value.length - HASH_BYTES));
      }
      more = page.more;
      const last = page.entries.at(-1);
      if (last !== undefined) start = successor(last.key);
    }
    // Asked last: the scan itself may have met bad records. What they held is not among the keys.
    const whole = context.replica.whole && context.replica.store.damagedRows().length === 0;
    return { keys, hashes: Buffer.concat(hashes), more, whole };
  }

  /** As many as fit into one answer, at least one. */
  async #fetch(keys: readonly Buffer[]): Promise<ReplyBody<'fetch'>> {
    const { replica, limits } = this.#parts.context;
    const found: Entry[] = [];
    let bytes = 0;
    let looked = 0;
    while (looked < keys.length) {
      for (const entry of await replica.store.get(keys.slice(looked, looked + KEYS_AT_A_TIME))) {
        const more = entry === undefined ? 0 : bytesOf(entry);
        if (looked > 0 && bytes + more > limits.maxBatchBytes) return { batch: encodeBatch(found), looked };
        if (entry !== undefined) found.push(entry);
        bytes += more;
        looked++;
      }
    }
    return { batch: encodeBatch(found), looked };
  }

  async #row(row: Buffer): Promise<ReplyBody<'row'>> {
    const { replica } = this.#parts.context;
    const whole = replica.whole;
    const to = Buffer.concat([row, Buffer.alloc(8, 0xff)]);
    const [read] = await replica.store.read([{ from: row, to }]);
    return { whole: whole && !read!.damaged, batch: encodeBatch(read!.entries) };
  }
}
