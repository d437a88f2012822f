import type { Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { asTallyringError, type ErrorCode, TallyringError } from '../../proto/errors.js';
import type { QueryStore } from './store.js';

export interface LateStoreOptions {
  connect(): Promise<QueryStore>;
  intervalMs: number;
  timers: Timers;
  logger: Logger;
}

/** How the store is, as far as the last read or attempt tells. */
export interface StoreSight {
  reachable: boolean;
  /** Why not. */
  reason?: string;
}

/** What an error says of the store as a whole; all others are about one request. */
const NOT_REACHED: readonly ErrorCode[] = ['UNAVAILABLE', 'READ_TIMEOUT', 'CLOSED'];

/** A read of no meaning. */
const PROBE = { key: 'tallyring:probe', eventType: 'probe' };

/**
 * A store that need not be there yet: it is sought until it is found, and until then reads fail with
 * UNAVAILABLE. Afterwards the client of the SDK finds its nodes by itself.
 */
export class LateStore implements QueryStore {
  readonly #options: LateStoreOptions;
  #store: QueryStore | undefined;
  #sight: StoreSight = { reachable: false, reason: 'the store was not reached yet' };
  #isClosed = false;

  constructor(options: LateStoreOptions) {
    this.#options = options;
  }

  /** The first attempt is over when it resolves. */
  async seek(): Promise<void> {
    const { connect, intervalMs, timers, logger } = this.#options;
    try {
      const store = await connect();
      if (this.#isClosed) return void (await store.close());
      this.#store = store;
      this.#sight = { reachable: true };
      logger.info({ rollups: store.rollups }, 'the store is reached');
      this.#watch();
    } catch (error) {
      if (this.#isClosed) return;
      const reason = `the store is not reached: ${asTallyringError(error).message}`;
      if (reason !== this.#sight.reason) logger.warn({ error }, 'the store is not reached; trying on');
      this.#sight = { reachable: false, reason };
      timers.after(intervalMs, () => void this.seek());
    }
  }

  /** Health must be true when nobody reads, too. */
  #watch(): void {
    const { intervalMs, timers } = this.#options;
    const probe = async () => {
      if (this.#isClosed) return;
      await this.getMany([PROBE], { timeoutMs: intervalMs }).catch(() => {}); // seen by #look
      this.#watch();
    };
    timers.after(intervalMs, () => void probe());
  }

  get sight(): StoreSight {
    return this.#sight;
  }

  get rollups(): QueryStore['rollups'] {
    return this.#reached().rollups;
  }

  getMany: QueryStore['getMany'] = (queries, options) =>
    this.#watched((store) => store.getMany(queries, options));

  statsMany: QueryStore['statsMany'] = (queries, options) =>
    this.#watched((store) => store.statsMany(queries, options));

  getColumns: QueryStore['getColumns'] = (keys, options) =>
    this.#watched((store) => store.getColumns(keys, options));

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#store?.close();
  }

  #reached(): QueryStore {
    if (this.#store !== undefined) return this.#store;
    throw new TallyringError('UNAVAILABLE', this.#sight.reason!);
  }

  async #watched<T extends { error?: TallyringError | undefined }>(
    read: (store: QueryStore) => Promise<T[]>,
  ): Promise<T[]> {
    const store = this.#reached();
    try {
      const outcomes = await read(store);
      this.#look(outcomes.map(({ error }) => error));
      return outcomes;
    } catch (error) {
      this.#look([asTallyringError(error)]);
      throw error;
    }
  }

  #look(errors: readonly (TallyringError | undefined)[]): void {
    const isAway = (error: TallyringError | undefined) =>
      error !== undefined && NOT_REACHED.includes(error.code);
    if (errors.length === 0) return;
    this.#sight = errors.every(isAway)
      ? { reachable: false, reason: errors[0]!.message }
      : { reachable: true };
  }
}
