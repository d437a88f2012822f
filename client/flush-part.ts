import type { Flush, FlushCell, Series } from '../counter/producer.js';
import { encodeBatch } from '../proto/batch.js';
import type { Entry } from '../proto/entry.js';
import { asTallyringError, errorFromData, TallyringError } from '../proto/errors.js';
import { encodeFlush } from '../proto/flush.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { KnownNode } from './node-table.js';

/** Where a series goes in this round. */
export interface Place {
  /** Undefined when no node may be asked. */
  node: KnownNode | undefined;
  level: ConsistencyLevel;
  timeoutMs: number;
}

/** What goes to one coordinator at one level. A flush of its own as far as the producer is concerned. */
export interface FlushPart extends Place {
  flush: { sequence: number; cells: FlushCell[]; series: Series[] };
}

/** Splits a flush by coordinator and level; each series stays whole. */
export function splitFlush(flush: Flush, placeOf: (series: Series) => Place): FlushPart[] {
  const parts = new Map<string, FlushPart>();
  let series: Series | undefined;
  let part: FlushPart | undefined;
  for (const cell of flush.cells) {
    if (part === undefined || cell.series !== series) {
      series = cell.series;
      const place = placeOf(series);
      const name = `${place.node?.nodeId ?? ''} ${place.level}`;
      part = parts.get(name);
      if (part === undefined) {
        part = { ...place, flush: { sequence: flush.sequence, cells: [], series: [] } };
        parts.set(name, part);
      }
      part.timeoutMs = Math.max(part.timeoutMs, place.timeoutMs);
      part.flush.series.push(series);
    }
    part.flush.cells.push(cell);
  }
  return [...parts.values()];
}

/** msgpack's head of one key or value. */
const HEAD_BYTES = 5;
const BATCH_HEAD_BYTES = 16;

/** Cuts entries into runs [from, to) whose batches have at most `maxBytes` bytes (one entry at least). */
export function cutBatches(entries: readonly Entry[], maxBytes: number): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  let from = 0;
  let bytes = BATCH_HEAD_BYTES;
  for (let i = 0; i < entries.length; i++) {
    const { key, value } = entries[i]!;
    const more = key.length + value.length + 2 * HEAD_BYTES;
    if (i > from && bytes + more > maxBytes) {
      runs.push({ from, to: i });
      from = i;
      bytes = BATCH_HEAD_BYTES;
    }
    bytes += more;
  }
  if (from < entries.length) runs.push({ from, to: entries.length });
  return runs;
}

export interface PartOutcome {
  /** Series of which some entry did not reach the level. All others are acknowledged. */
  failed: Map<Series, TallyringError>;
  /** The call itself failed, so it says something about the node. */
  callError?: TallyringError;
}

/** Sends a part and says what became of each of its series; never rejects. */
export async function sendPart(
  part: FlushPart,
  limits: { ringEpoch: number; maxBatchBytes: number },
): Promise<PartOutcome> {
  const { node, level, timeoutMs, flush } = part;
  const outcome: PartOutcome = { failed: new Map() };
  if (node === undefined) {
    const error = new TallyringError('UNAVAILABLE', `no node may coordinate ${level}`, {
      mayHaveApplied: false,
    });
    for (const series of flush.series) outcome.failed.set(series, error);
    return outcome;
  }
  const entries = encodeFlush(flush);
  const runs = cutBatches(entries, limits.maxBatchBytes);
  for (const { from, to } of runs) {
    try {
      const batch = encodeBatch(runs.length === 1 ? entries : entries.slice(from, to));
      const reply = await node.connection.flush({ ringEpoch: limits.ringEpoch, level, batch }, { timeoutMs });
      for (const { indexes, error } of reply.failures) {
        const failure = errorFromData(error);
        for (const index of indexes) outcome.failed.set(flush.cells[from + index]!.series, failure);
      }
    } catch (thrown) {
      const error = asTallyringError(thrown);
      outcome.callError = error;
      for (let i = from; i < flush.cells.length; i++) outcome.failed.set(flush.cells[i]!.series, error);
      return outcome;
    }
  }
  return outcome;
}
