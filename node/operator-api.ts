import type { CellValue } from '../counter/shard.js';
import type { Granularity } from '../counter/window.js';
import type {
  CallOptions,
  CellQuery,
  ClusterDescription,
  EndpointReport,
  NodeReport,
  OperatorCalls,
  Outcome,
} from '../proto/calls.js';
import { tokenOf } from '../proto/entry.js';
import { asTallyringError, errorToData, TallyringError } from '../proto/errors.js';
import type { Membership } from './gossip/membership.js';
import { cellRow, cellValue } from './queries.js';
import type { NodeContext } from './quorum/context.js';
import { HASH_BYTES, LeafSet } from './repair/hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY, scanLeaves, successor } from './repair/leaf-scan.js';

const LARGEST_PAGE = 10_000;

/** What only the composed node knows. */
export interface NodeState {
  cluster: string;
  version: string;
  status: string;
  waitsFor: string;
  storeState: NodeReport['storeState'];
  entries: number;
  uptimeMs: number;
  memoryBytes: number;
  hints: Record<string, number>;
  ownership: Record<string, number>;
  ring: ClusterDescription;
}

export interface OperatorApiParts {
  context: NodeContext;
  membership: Membership;
  rollups: readonly Granularity[];
  state(): NodeState;
}

/** What operators ask of one node, answered from that node alone. */
export class OperatorApi implements OperatorCalls {
  readonly #parts: OperatorApiParts;

  constructor(parts: OperatorApiParts) {
    this.#parts = parts;
  }

  async report(_options: CallOptions): Promise<NodeReport> {
    const { context, membership, state } = this.#parts;
    const { store } = context.replica;
    return {
      ...state(),
      nodeId: context.nodeId,
      storeId: store.storeId,
      syncedBatch: store.syncedBatch,
      ringEpoch: context.ring().epoch,
      damagedRows: store.damagedRows().length,
      endpoints: membership.endpoints().map(
        (endpoint): EndpointReport => ({
          nodeId: endpoint.nodeId,
          up: membership.isLive(endpoint.nodeId),
          convicted: endpoint.convicted,
          phi: endpoint.phi,
          generation: endpoint.generation,
          heartbeat: endpoint.heartbeat,
          facts: Object.fromEntries(Object.entries(endpoint.facts).filter(([, fact]) => fact !== undefined)),
        }),
      ),
    };
  }

  async endpointsOf(key: string, _options: CallOptions): Promise<string[]> {
    return [...this.#parts.context.ring().replicasOf(tokenOf(key)).nodeIds];
  }

  async getLocal(queries: readonly CellQuery[], _options: CallOptions): Promise<Outcome<CellValue>[]> {
    return Promise.all(queries.map((query) => this.#getLocal(query)));
  }

  async #getLocal(query: CellQuery): Promise<Outcome<CellValue>> {
    try {
      const row = cellRow(query, this.#parts.rollups);
      const { whole, entries } = await this.#parts.context.replica.read([row], true);
      if (!whole[0])
        throw new TallyringError('NOT_WHOLE', 'a record of this row is damaged here; it will be healed');
      return { ok: cellValue(row, entries[0]!) };
    } catch (error) {
      return { error: errorToData(asTallyringError(error)) };
    }
  }

  async scanLocal(after: Buffer | undefined, limit: number, _options: CallOptions) {
    const { entries, more } = await scanLeaves(this.#parts.context.replica.store, LeafSet.all(), {
      from: after === undefined ? FIRST_ENTRY : successor(after),
      to: END_OF_ENTRIES,
      limit: Math.min(limit, LARGEST_PAGE),
    });
    return {
      keys: entries.map((entry) => entry.key),
      hashes: Buffer.concat(entries.map((entry) => entry.value.subarray(entry.value.length - HASH_BYTES))),
      more,
    };
  }
}
