import type { CallOptions } from '../../proto/calls.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import { decodeRecord, encodeRecord, fieldsOf, partitionOf } from '../event.js';
import type { DeadLetterKey, DeadLetters, StoredDeadLetter } from '../log/dead-letters.js';
import type { EventLog } from '../log/log.js';
import { checkEvent, type InputEvent } from './http/event-input.js';

/**
 * Puts a dead letter's event into the log again, once: its id is the letter's key, and before the append the letter
 * notes where the partition ended, so that a replay which was cut off is looked for from there on.
 */

export interface ReplayParts {
  log: EventLog;
  deadLetters: DeadLetters;
  /** Fields of the event that are put in place of its own: videoId, eventType, timestamp, value. */
  changes: Readonly<Record<string, unknown>>;
  nowMs: number;
  call: CallOptions;
}

export interface ReplayOutcome extends DeadLetterKey {
  /**
   * `found`: an earlier replay had appended it; `before`: it was done already; `refused`: it cannot count as it is;
   * `failed`: nothing was appended; `in doubt`: it may have been, replaying it again finds out.
   */
  outcome: 'replayed' | 'found' | 'before' | 'refused' | 'failed' | 'in doubt';
  message?: string;
}

const PAGE_BYTES = 1024 * 1024;

export function replayIdOf({ partition, offset }: DeadLetterKey): string {
  return `d:${partition}:${offset}`;
}

export async function replay(letter: StoredDeadLetter, parts: ReplayParts): Promise<ReplayOutcome> {
  const { partition, offset } = letter;
  const ended = (outcome: ReplayOutcome['outcome'], message?: string): ReplayOutcome => ({
    partition,
    offset,
    outcome,
    ...(message !== undefined && { message }),
  });
  if (letter.replay?.state === 'done') return ended('before');
  let event: InputEvent;
  try {
    event = eventOf(letter, parts);
  } catch (error) {
    return ended('refused', asTallyringError(error).message);
  }
  try {
    return ended(await append(letter, event, parts));
  } catch (thrown) {
    const error = asTallyringError(thrown);
    const isBad = error.code === 'INVALID_ARGUMENT';
    return ended(isBad ? 'refused' : error.mayHaveApplied ? 'in doubt' : 'failed', error.message);
  }
}

/** Throws INVALID_ARGUMENT when it would not count this time either. */
function eventOf({ payload }: StoredDeadLetter, { changes, nowMs }: ReplayParts): InputEvent {
  const { recordId: _, timestampMs: timestamp, ...fields } = fieldsOf(payload);
  if (timestamp === undefined && changes.timestamp === undefined) {
    throw new TallyringError(
      'INVALID_ARGUMENT',
      'the record has no readable timestamp; give --set timestamp=…',
    );
  }
  return checkEvent({ ...fields, timestamp, ...changes }, nowMs);
}

async function append(
  letter: StoredDeadLetter,
  event: InputEvent,
  { log, deadLetters, call }: ReplayParts,
): Promise<'replayed' | 'found'> {
  const target = partitionOf(event.videoId, log.description.partitions);
  const began = letter.replay?.state === 'began' ? letter.replay : undefined;
  if (began === undefined) {
    const { end } = await log.bounds(target, call);
    await deadLetters.mark(letter, { state: 'began', partition: target, end }, call);
  } else {
    if (began.partition !== target) {
      const text = `its replay began with a video of partition ${began.partition}: replay it as it was then`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    if (await stands(replayIdOf(letter), { log, began, call })) {
      await deadLetters.mark(letter, { state: 'done' }, call);
      return 'found';
    }
  }
  const record = encodeRecord({ ...event, recordId: replayIdOf(letter) });
  await log.append([{ partition: target, records: [record] }], call);
  await deadLetters.mark(letter, { state: 'done' }, call);
  return 'replayed';
}

/** Whether a record of this id stands in the partition from the mark on. */
async function stands(
  recordId: string,
  { log, began, call }: { log: EventLog; began: { partition: number; end: number }; call: CallOptions },
): Promise<boolean> {
  const { start, end } = await log.bounds(began.partition, call);
  if (start > began.end) {
    throw new TallyringError(
      'DATA_LOSS',
      'an earlier replay was cut off, and what it may have appended is trimmed already; look at the counter itself',
      { mayHaveApplied: true },
    );
  }
  for (let from = began.end; from < end; ) {
    const page = await log.read(began.partition, from, { ...call, maxBytes: PAGE_BYTES, waitMs: 0 });
    if (page.records.some(({ payload }) => idOf(payload) === recordId)) return true;
    from = page.next;
  }
  return false;
}

function idOf(payload: Buffer): string | undefined {
  try {
    return decodeRecord(payload).recordId;
  } catch {
    return undefined;
  }
}
