import type { Flush, Series } from '../../counter/producer.js';
import type { FlushReply } from '../../proto/calls.js';
import type { Entry } from '../../proto/entry.js';
import { asTallyringError, type ErrorData, errorToData } from '../../proto/errors.js';
import { encodeFlush } from '../../proto/flush.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { NodeContext } from './context.js';
import type { Writes } from './writes.js';

/** What surrounds key and value in a batch, and a batch's entries. */
const SLACK_BYTES = 10;

interface FlushWriter {
  context: NodeContext;
  writes: Writes;
}

interface FlushOptions {
  level: ConsistencyLevel;
  timeoutMs: number;
}

/**
 * Writes a flush of the node's own producer: the series that failed, and why. Never rejects. A message has its
 * limit (`maxBatchBytes`), so a large flush goes as several writes.
 */
export async function writeFlush(
  writer: FlushWriter,
  flush: Flush,
  options: FlushOptions,
): Promise<Map<Series, ErrorData>> {
  const entries = encodeFlush(flush);
  const errors = new Map<Series, ErrorData>();
  const parts = cutBySize(entries, writer.context.limits.maxBatchBytes).map(async ({ from, to }) => {
    const { failures } = await writePart(writer, entries.slice(from, to), options);
    for (const { indexes, error } of failures) {
      for (const i of indexes) errors.set(flush.cells[from + i]!.series, error);
    }
  });
  await Promise.all(parts);
  return errors;
}

async function writePart(
  { writes, context }: FlushWriter,
  entries: Entry[],
  options: FlushOptions,
): Promise<FlushReply> {
  try {
    return await writes.write(entries, { ...options, ring: context.ring() });
  } catch (error) {
    return {
      failures: [{ indexes: entries.map((_, i) => i), error: errorToData(asTallyringError(error)) }],
    };
  }
}

/** Runs of entries, from `from` (inclusive) to `to` (exclusive), each of which fits into one batch. */
function cutBySize(entries: readonly Entry[], maxBytes: number): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = [];
  let [from, bytes] = [0, SLACK_BYTES];
  for (const [i, { key, value }] of entries.entries()) {
    const own = key.length + value.length + SLACK_BYTES;
    if (i > from && bytes + own > maxBytes) {
      runs.push({ from, to: i });
      [from, bytes] = [i, SLACK_BYTES];
    }
    bytes += own;
  }
  runs.push({ from, to: entries.length });
  return runs;
}
