import { Packr } from 'msgpackr';
import { type Int64, isInt64 } from '../../counter/int64.js';
import type { Flush, FlushCell, Series } from '../../counter/producer.js';
import { checkEventType, checkKey } from '../../counter/validate.js';
import { GRANULARITIES, GRANULARITY_CODE, type Granularity } from '../../counter/window.js';
import { PRODUCER_ID_BYTES } from '../../proto/entry.js';

/**
 * What a recount adds to cells of a partition, under a producerId of its own (DESIGN §11). The checkpoint holds the
 * whole of it before any of it is written, and until a quorum holds all of it: so whoever owns the partition next
 * can do it again, to the same state, and it counts once however often it is cut off.
 */
export interface Correction {
  producerId: Buffer;
  cells: CorrectionCell[];
}

/** Each cell is written once under the correction's id. */
export interface CorrectionCell {
  key: string;
  eventType: string;
  granularity: Granularity;
  window: number;
  /** What is added: negative where too much was counted. */
  count: Int64;
  sum: Int64;
  min: Int64 | null;
  max: Int64 | null;
}

/** Of one correction, encoded: the register's value holds it beside the rest of the checkpoint. */
export const MAX_CORRECTION_BYTES = 8 * 1024;
/** A cell has one state only under a correction's id. */
const SEQUENCE = 1;

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** As it stands in the checkpoint. */
export function packCorrection({ producerId, cells }: Correction): unknown {
  return [producerId, cells.map(packCell)];
}

function packCell({ key, eventType, granularity, window, count, sum, min, max }: CorrectionCell): unknown {
  return [key, eventType, GRANULARITY_CODE[granularity], window, count, sum, min, max];
}

/** Undefined for what is no correction. */
export function unpackCorrection(fields: unknown): Correction | undefined {
  if (!Array.isArray(fields) || fields.length !== 2) return undefined;
  const [producerId, cells] = fields as unknown[];
  if (!Buffer.isBuffer(producerId) || producerId.length !== PRODUCER_ID_BYTES) return undefined;
  if (!Array.isArray(cells)) return undefined;
  const unpacked = cells.map(unpackCell);
  if (unpacked.includes(undefined)) return undefined;
  return { producerId, cells: unpacked as CorrectionCell[] };
}

function unpackCell(fields: unknown): CorrectionCell | undefined {
  if (!Array.isArray(fields) || fields.length !== 8) return undefined;
  const [key, eventType, code, window, count, sum, min, max] = fields as unknown[];
  const granularity = GRANULARITIES[code as number];
  if (granularity === undefined || !Number.isSafeInteger(window)) return undefined;
  if (!isInt64(count) || !isInt64(sum)) return undefined;
  if ((min !== null && !isInt64(min)) || (max !== null && !isInt64(max))) return undefined;
  const place = {
    key: checkKey(key),
    eventType: checkEventType(eventType),
    granularity,
    window: window as number,
  };
  return { ...place, count, sum, min: min as Int64 | null, max: max as Int64 | null };
}

/** Cuts cells into runs that each fit into a checkpoint, in order. */
export function cutCorrections(cells: readonly CorrectionCell[]): CorrectionCell[][] {
  const runs: CorrectionCell[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const cell of cells) {
    const more = packr.pack(packCell(cell)).length;
    if (bytes + more > MAX_CORRECTION_BYTES) {
      runs.push([]);
      bytes = 0;
    }
    runs.at(-1)!.push(cell);
    bytes += more;
  }
  return runs;
}

/** The shards that a correction is, whoever writes them: cells of one series stand together. */
export function flushOf({ producerId, cells }: Correction): Flush {
  const bySeries = new Map<string, FlushCell[]>();
  for (const { key, eventType, granularity, window, count, sum, min, max } of cells) {
    const name = `${key}\0${eventType}`;
    const taken = bySeries.get(name) ?? [];
    const series: Series = taken[0]?.series ?? { key, eventType, token: undefined };
    const shard = { sequence: SEQUENCE, count, sum, min, max };
    taken.push({ series, granularity, window, producerId, shard });
    bySeries.set(name, taken);
  }
  const groups = [...bySeries.values()];
  return { sequence: SEQUENCE, cells: groups.flat(), series: groups.map(([first]) => first!.series) };
}
