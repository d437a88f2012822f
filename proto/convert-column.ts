import type { Outcome } from './calls.js';
import type { Column } from './column.js';
import { errorFromWire, errorToWire, safeFromWire, safeToWire, textToWire } from './convert.js';
import type * as wire from './messages.js';

/** Columns between plain data and the messages of counter.proto, as convert.ts does. */

function columnToWire({ name, text, timeMs, logical, writer }: Column): wire.WireColumn {
  return {
    name: textToWire('name', name),
    text: text === null ? undefined : textToWire('text', text),
    timeMs: safeToWire('timeMs', timeMs),
    logical: safeToWire('logical', logical),
    writer,
  };
}

function columnFromWire({ name, text, timeMs, logical, writer }: wire.WireColumn): Column {
  return {
    name,
    text: text ?? null,
    timeMs: safeFromWire('time_ms', timeMs),
    logical: safeFromWire('logical', logical),
    writer,
  };
}

export function columnOutcomesToWire(outcomes: readonly Outcome<Column[]>[]): wire.WireColumnsReply {
  return {
    outcomes: outcomes.map((outcome) =>
      'ok' in outcome
        ? { row: { columns: outcome.ok.map(columnToWire) } }
        : { error: errorToWire(outcome.error) },
    ),
  };
}

export function columnOutcomesFromWire({ outcomes }: wire.WireColumnsReply): Outcome<Column[]>[] {
  return outcomes.map(({ row, error }) =>
    row ? { ok: row.columns.map(columnFromWire) } : { error: errorFromWire(error) },
  );
}
