import { TallyringError } from '../proto/errors.js';
import type { NodeContext } from './quorum/context.js';

/** The bound on rows (periods of them) that clients ask for and that are not yet answered. */
export class RowAdmission {
  readonly #context: Pick<NodeContext, 'limits' | 'metrics'>;
  #pending = 0;

  constructor(context: Pick<NodeContext, 'limits' | 'metrics'>) {
    this.#context = context;
  }

  /** Runs a read of so many rows; throws OVERLOADED where too many are being read already. */
  async run<T>(rows: number, read: () => Promise<T>): Promise<T> {
    const { limits, metrics } = this.#context;
    if (this.#pending > 0 && this.#pending + rows > limits.maxPendingRows) {
      metrics.overloaded.inc({ queue: 'reads' });
      throw new TallyringError('OVERLOADED', `${this.#pending} rows are being read already: ask again soon`);
    }
    this.#pending += rows;
    try {
      return await read();
    } finally {
      this.#pending -= rows;
    }
  }
}
