import { Coalescer } from '../../proto/coalesce.js';
import type { Entry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import type { RowQuery } from '../../proto/peer-message.js';
import type { NodeContext } from './context.js';
import { unpackRows } from './replica.js';

const MAX_IN_FLIGHT = 4;
const MAX_ROWS = 500;

export interface RowAnswer {
  whole: boolean;
  entries: Entry[];
}

/** What a read says beside its rows; only reads that agree in all but the time go together. */
interface ReadFacts {
  nodeId: string;
  one: boolean;
  epoch: number;
  timeoutMs: number;
}

/** Reads of other replicas, many clients' reads in one message while a replica is busy. */
export class PeerReads {
  readonly #context: NodeContext;
  readonly #coalescers = new Map<string, Coalescer<RowQuery, RowAnswer>>();

  constructor(context: NodeContext) {
    this.#context = context;
  }

  ask(rows: readonly RowQuery[], of: ReadFacts): Promise<RowAnswer[]> {
    return allRows(rows, (rest) => this.#coalescer(of).ask(rest, of.timeoutMs));
  }

  #coalescer({ nodeId, one, epoch }: ReadFacts): Coalescer<RowQuery, RowAnswer> {
    const name = `${nodeId} ${one} ${epoch}`;
    let coalescer = this.#coalescers.get(name);
    if (coalescer === undefined) {
      const send = (rows: readonly RowQuery[], timeoutMs: number) =>
        this.#send(rows, { nodeId, one, epoch, timeoutMs });
      const { clock } = this.#context;
      coalescer = new Coalescer({ clock, maxInFlight: MAX_IN_FLIGHT, maxItems: MAX_ROWS, send });
      this.#coalescers.set(name, coalescer);
    }
    return coalescer;
  }

  async #send(rows: readonly RowQuery[], { nodeId, one, epoch, timeoutMs }: ReadFacts): Promise<RowAnswer[]> {
    const body = { one, epoch, queries: [...rows] };
    const { whole, entries } = unpackRows(await this.#context.peers.request(nodeId, 'read', body, timeoutMs));
    if (whole.length !== rows.length) {
      throw new TallyringError('INVALID_ARGUMENT', `${nodeId} answered another number of rows`);
    }
    return rows.map((_, i) => ({ whole: whole[i]!, entries: entries[i]! }));
  }
}
