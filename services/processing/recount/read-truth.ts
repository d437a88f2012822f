import { type Bounds, lookBackStart } from '../../../client/log-driven/checkpoint.js';
import { type OwnerContext, readerFrom } from '../../../client/log-driven/owner-context.js';
import type { CountingRule } from '../../../client/log-driven/source.js';
import type { LogRecord } from '../../log/log.js';
import { Horizon, isAllRetained, isDecidable, type Segment, segmentsOf } from './horizon.js';
import type { Truth } from './truth.js';

export interface ReadTruthParts {
  context: OwnerContext<LogRecord>;
  /** Decides as the counting did, and keeps nothing. */
  rule: CountingRule<LogRecord>;
  bounds: Bounds;
  signal: AbortSignal;
  onRecords(records: number): void;
}

export interface ReadTruth {
  horizon: Horizon;
  records: number;
  undecided: number;
}

/** Records between two looks at what is asked of this process. */
const STEP_RECORDS = 1_024;

/** One pass over what is retained of the partition, up to `committed`. */
export async function readTruth(truth: Truth, parts: ReadTruthParts): Promise<ReadTruth> {
  const checkpoint = parts.context.writer.next;
  const read: ReadTruth = { horizon: new Horizon(), records: 0, undecided: 0 };
  let isFirst = !isAllRetained(checkpoint, parts.bounds);
  for (const segment of segmentsOf(checkpoint, parts.bounds)) {
    for await (const { offset, record, counted } of decided(segment, parts)) {
      read.records++;
      // Whatever is gone was appended before the first that is here.
      if (isFirst) read.horizon.lost(record.appendedAtMs);
      isFirst = false;
      if (!isDecidable(segment.rule, offset, parts.bounds)) {
        read.undecided++;
        read.horizon.lost(record.appendedAtMs);
      } else if (counted !== undefined) truth.add(counted);
    }
  }
  return read;
}

async function* decided({ rule, from, to }: Segment, parts: ReadTruthParts) {
  const { context, bounds, signal, onRecords } = parts;
  const run = parts.rule.begin(rule);
  const reader = readerFrom(context, Math.max(bounds.start, lookBackStart(rule, from)));
  let since = 0;
  for await (const { offset, record } of reader.upTo(to)) {
    if (offset < from) run.pass(offset, record);
    else yield { offset, record, counted: run.count(offset, record) };
    if (++since < STEP_RECORDS) continue;
    run.cut?.(); // what is rejected was kept when it was counted
    signal.throwIfAborted();
    onRecords(since);
    since = 0;
  }
  onRecords(since);
}
