import { checkColumnName, checkColumnText, checkKey } from '../counter/validate.js';
import { encodeBatch } from '../proto/batch.js';
import {
  type Column,
  type ColumnStamp,
  compareStamps,
  encodeColumn,
  MAX_COLUMN_BYTES,
} from '../proto/column.js';
import { errorFromData, TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { untilAnswered } from './attempts.js';
import { cutBatches } from './flush-part.js';
import { HybridClock } from './hybrid-clock.js';
import { checkLevel } from './levels.js';
import type { ClientParts } from './parts.js';
import { checkTimeout, only, present, type ReadOptions, type ReadOutcome } from './queries.js';
import { orAborted, type ReadPlan } from './reader.js';
import type { NodeConnection } from './transport.js';

/** Columns of one call. */
const MAX_COLUMNS_PER_CALL = 64;
/**
 * Nodes take times up to an hour ahead of their clocks; theirs and this one's may be another hour apart, beyond
 * which no node mints an id either.
 */
const MAX_AHEAD_MS = 2 * 3_600_000;

/** A column's text; `null` deletes it. */
export type ColumnTexts = Readonly<Record<string, string | null>>;

export interface ColumnValue {
  value: string;
  /** When it was written, by its writer's clock. */
  at: Date;
}

/** Descriptive facts of keys: the last writer wins, by hybrid clock. */
export class Columns {
  readonly #parts: ClientParts;
  readonly #writer: Buffer;
  readonly #clock = new HybridClock({ maxAheadMs: MAX_AHEAD_MS });

  /** `writer`: a producerId of this process. */
  constructor(parts: ClientParts, writer: Buffer) {
    this.#parts = parts;
    this.#writer = Buffer.from(writer);
  }

  /** The columns of each key, without deleted ones. */
  async get(
    keys: readonly string[],
    options: ReadOptions,
  ): Promise<ReadOutcome<ReadonlyMap<string, ColumnValue>>[]> {
    for (const key of keys) checkKey(key);
    const outcomes = await this.#read(keys, this.#plan(options, this.#parts.readLevel));
    return outcomes.map((outcome) => present(outcome, valuesOf));
  }

  /** Reads first, so that what it writes is later than all that was acknowledged before it, whoever wrote that. */
  async set(key: string, texts: ColumnTexts, options: ReadOptions): Promise<void> {
    checkKey(key);
    const names = Object.keys(texts);
    if (names.length > MAX_COLUMNS_PER_CALL) {
      const text = `at most ${MAX_COLUMNS_PER_CALL} columns a call, not ${names.length}`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    for (const name of names) {
      checkColumnName(name);
      if (texts[name] !== null) checkColumnText(texts[name], MAX_COLUMN_BYTES);
    }
    const plan = this.#plan(options, this.#parts.level);
    if (names.length === 0) return;
    const { clock } = this.#parts.ports;
    const deadlineMs = clock.monotonicMs() + plan.timeoutMs;
    const held = only((await this.#read([key], plan)).map((outcome) => present(outcome, (row) => row)));
    const stamp = { ...this.#clock.tick(clock.wallMs()), writer: this.#writer };
    for (const column of held) if (Object.hasOwn(texts, column.name)) checkLater(stamp, column);
    const columns = names.map((name) => ({ name, text: texts[name]!, ...stamp }));
    await this.#write(key, columns, { ...plan, timeoutMs: Math.max(1, deadlineMs - clock.monotonicMs()) });
  }

  /** The same entries in every attempt: however often one is sent, it is one write. */
  async #write(key: string, columns: readonly Column[], plan: ReadPlan): Promise<void> {
    const { topology, limits, ports } = this.#parts;
    const entries = columns.map((column) => encodeColumn(key, column));
    const { level, signal } = plan;
    const flush = async (connection: NodeConnection, timeoutMs: number) => {
      const { ringEpoch, maxBatchBytes } = topology.description;
      for (const { from, to } of cutBatches(entries, Math.min(maxBatchBytes, limits.maxRequestBytes))) {
        const batch = encodeBatch(entries.slice(from, to));
        const { failures } = await connection.flush({ ringEpoch, level, batch }, { timeoutMs, signal });
        if (failures[0] !== undefined) throw errorFromData(failures[0].error);
      }
    };
    await orAborted(untilAnswered({ topology, limits, ...ports }, { key, ...plan }, flush), signal);
  }

  async #read(keys: readonly string[], plan: ReadPlan) {
    const { reader, ports } = this.#parts;
    const outcomes = await reader.readInParts<{ key: string }, Column[]>(
      keys.map((key) => ({ key })),
      (connection, asked, level, call) =>
        connection.columns(
          asked.map(({ key }) => key),
          level,
          call,
        ),
      plan,
    );
    const wallMs = ports.clock.wallMs();
    for (const outcome of outcomes) {
      if ('ok' in outcome) for (const column of outcome.ok) this.#clock.observe(column, wallMs);
    }
    return outcomes;
  }

  #plan({ consistency, timeoutMs, signal }: ReadOptions, usual: ConsistencyLevel): ReadPlan {
    const { topology, limits } = this.#parts;
    signal?.throwIfAborted();
    const plan = { timeoutMs: timeoutMs ?? limits.requestTimeoutMs, signal };
    checkTimeout(plan.timeoutMs);
    return { level: consistency === undefined ? usual : checkLevel(consistency, topology.levels), ...plan };
  }
}

/** Refuses to write what would be acknowledged and never be seen. */
function checkLater(stamp: ColumnStamp, held: Column): void {
  if (compareStamps(stamp, held) > 0) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `column ${held.name} was written ${held.timeMs - stamp.timeMs} ms ahead of this clock, too far to follow; ` +
      'nothing was written: set the clock of the one that is wrong',
    { mayHaveApplied: false },
  );
}

function valuesOf(columns: readonly Column[]): ReadonlyMap<string, ColumnValue> {
  const values = new Map<string, ColumnValue>();
  for (const { name, text, timeMs } of columns) {
    if (text !== null) values.set(name, { value: text, at: new Date(timeMs) });
  }
  return values;
}
