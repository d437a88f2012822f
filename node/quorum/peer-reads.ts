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
  tooLarge: boolean;
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
    return this.#coalescer(of).ask(rows, of.timeoutMs);
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
    const { whole, entries, tooLarge } = unpackRows(
      await this.#context.peers.request(nodeId, 'read', body, timeoutMs),
    );
    if (whole.length === 0 || whole.length > rows.length) {
      throw new TallyringError(
        'INVALID_ARGUMENT',
        `${nodeId} answered ${whole.length} of ${rows.length} rows`,
      );
    }
    const large = new Set(tooLarge);
    const answers = whole.map((isWhole, i) => ({
      whole: isWhole,
      entries: entries[i]!,
      tooLarge: large.has(i),
    }));
    // What did not fit into the answer is asked for again; the time that is left is the caller's to watch.
    if (whole.length === rows.length) return answers;
    const rest = await this.#send(rows.slice(whole.length), { nodeId, one, epoch, timeoutMs });
    return [...answers, ...rest];
  }
}
