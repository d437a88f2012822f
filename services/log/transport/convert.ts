import { safeFromWire, textToWire, uint32ToWire } from '../../../proto/convert.js';
import { TallyringError } from '../../../proto/errors.js';
import type {
  WireBounds,
  WireDeadLetter,
  WireDeadLetterKey,
  WireReplay,
} from '../../../proto/log-service.js';
import type { DeadLetter, DeadLetterKey, Replay, StoredDeadLetter } from '../dead-letters.js';
import type { PartitionBounds } from '../log.js';

/** An offset as uint64, which protobuf would make of anything. */
export function offsetToWire(offset: number): number {
  if (Number.isSafeInteger(offset) && offset >= 0) return offset;
  throw new TallyringError('INVALID_ARGUMENT', `${offset} is no offset`);
}

export function boundsFromWire({ start, end }: WireBounds): PartitionBounds {
  return { start: safeFromWire('start', start), end: safeFromWire('end', end) };
}

export function keyToWire({ partition, offset }: DeadLetterKey): WireDeadLetterKey {
  return { partition: uint32ToWire('partition', partition), offset: offsetToWire(offset) };
}

export function keyFromWire(key: WireDeadLetterKey | null | undefined): DeadLetterKey {
  if (!key) throw new TallyringError('INVALID_ARGUMENT', 'the key of a dead letter is missing');
  return { partition: key.partition, offset: safeFromWire('offset', key.offset) };
}

export function replayToWire(replay: Replay): WireReplay {
  if (replay.state === 'done') return { done: true, partition: 0, end: 0 };
  return {
    done: false,
    partition: uint32ToWire('partition', replay.partition),
    end: offsetToWire(replay.end),
  };
}

export function replayFromWire(replay: WireReplay | null | undefined): Replay {
  if (!replay) throw new TallyringError('INVALID_ARGUMENT', 'the state of the replay is missing');
  const { done, partition, end } = replay;
  return done ? { state: 'done' } : { state: 'began', partition, end: safeFromWire('end', end) };
}

export function letterToWire(letter: StoredDeadLetter | DeadLetter): WireDeadLetter {
  const { appendedAtMs, reason, message, payload } = letter;
  const replay = 'replay' in letter && letter.replay ? replayToWire(letter.replay) : undefined;
  return {
    key: keyToWire(letter),
    appendedAtMs: offsetToWire(appendedAtMs),
    reason: textToWire('reason', reason),
    message: textToWire('message', message),
    payload,
    replay,
  };
}

export function letterFromWire(letter: WireDeadLetter): StoredDeadLetter {
  const { key, appendedAtMs, reason, message, payload, replay } = letter;
  const plain = {
    ...keyFromWire(key),
    appendedAtMs: safeFromWire('appendedAtMs', appendedAtMs),
    reason,
    message,
    payload,
  };
  return replay ? { ...plain, replay: replayFromWire(replay) } : plain;
}
