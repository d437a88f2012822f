import type { Logger } from '../../ports/logger.js';
import { isIntact } from '../../proto/entry.js';
import type { Metrics } from '../metrics.js';
import { DamagedRows, rowOfBadRecord } from './damage.js';
import type { Engine, EngineWrite } from './engine.js';
import type { HeldCache } from './held-cache.js';
import { DAMAGED_PREFIX, EMPTY, keyAfter, prefixEnd } from './keyspace.js';
import { doubtKey, type StoreState, stateWrite } from './store-state.js';

const SCAN_PAGE = 1_000;

/**
 * What is wrong with a store: rows that met a bad record, and doubts about the whole. Known at once in memory;
 * the writes that make it durable are handed to whoever commits next (until then the bad record is still there
 * to be met again).
 */
export class StoreHealth {
  readonly rows = new DamagedRows();
  readonly state: StoreState;
  readonly #cache: HeldCache;
  readonly #metrics: Metrics;
  readonly #logger: Logger;

  constructor(
    found: { state: StoreState; damagedRows: readonly Buffer[] },
    parts: { cache: HeldCache; metrics: Metrics; logger: Logger },
  ) {
    this.state = found.state;
    this.#cache = parts.cache;
    this.#metrics = parts.metrics;
    this.#logger = parts.logger;
    for (const row of found.damagedRows) this.rows.add(row, undefined);
  }

  /** Notes a bad record; gives the writes that make the note durable, none when it was known. */
  noteBad(key: Buffer): EngineWrite[] {
    // The next merge of this key must look at the disk and write, even what it held before.
    this.#cache.delete(key.toString('latin1'));
    const row = rowOfBadRecord(key);
    if (row === undefined) {
      // Nobody can say which row lacks a record now, nor merge into this key: the whole store is in doubt.
      this.#metrics.badRecords.inc();
      return [
        ...this.doubt(`a record was found whose key is unreadable (${key.toString('hex')})`),
        { key, value: undefined },
      ];
    }
    const { newRow, newRecord } = this.rows.add(row, key);
    if (newRecord) {
      this.#metrics.badRecords.inc();
      this.#logger.error(
        { key: key.toString('hex') },
        'bad record: its checksum is wrong; its row is damaged',
      );
    }
    if (!newRow) return [];
    // Others of the row may be bad too, not yet met. What the peers hold is merged against the disk, not the cache.
    this.#cache.clear();
    return [{ key: Buffer.concat([DAMAGED_PREFIX, row]), value: EMPTY }];
  }

  /** The writes that note that the whole store is in doubt; none when that was known. */
  doubt(text: string): EngineWrite[] {
    if (this.state.doubts.includes(text)) return [];
    this.state.doubts.push(text);
    this.#logger.error({ doubt: text }, 'the store may lack what it acknowledged');
    return [{ key: doubtKey(text), value: EMPTY }];
  }

  /**
   * The writes that declare a row whole: its records that are still bad go, and its mark. `whole` is false when
   * one turns up that nobody met before: what the peers hold of it may not have been merged. It is noted then.
   */
  async heal(engine: Engine, row: Buffer): Promise<{ writes: EngineWrite[]; whole: boolean }> {
    const writes: EngineWrite[] = [{ key: Buffer.concat([DAMAGED_PREFIX, row]), value: undefined }];
    const unknown: Buffer[] = [];
    const end = prefixEnd(row);
    let from = row;
    for (;;) {
      const records = await engine.scan(from, end, { limit: SCAN_PAGE, fillCache: false });
      for (const record of records) {
        if (isIntact(record)) continue;
        if (!this.rows.knows(row, record.key)) unknown.push(record.key);
        writes.push({ key: record.key, value: undefined });
      }
      if (records.length < SCAN_PAGE) break;
      from = keyAfter(records[records.length - 1]!.key);
    }
    if (unknown.length === 0) return { writes, whole: true };
    return { writes: unknown.flatMap((key) => this.noteBad(key)), whole: false };
  }

  /** After the writes of `heal` are durable. */
  healed(row: Buffer): void {
    if (this.rows.remove(row)) this.#metrics.healedRows.inc();
  }

  /** The writes that declare the store whole, and the doubts that they resolve. */
  resolve(): { writes: EngineWrite[]; resolved: string[] } {
    const resolved = [...this.state.doubts];
    const writes: EngineWrite[] = resolved.map((doubt) => ({ key: doubtKey(doubt), value: undefined }));
    writes.push(stateWrite({ ...this.state, whole: true }));
    return { writes, resolved };
  }

  /** After the writes of `resolve` are durable. */
  resolved(doubts: readonly string[]): void {
    this.state.whole = true;
    this.state.doubts = this.state.doubts.filter((doubt) => !doubts.includes(doubt));
  }
}
