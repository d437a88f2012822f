import { Packr } from 'msgpackr';
import { TallyringError } from '../../proto/errors.js';
import type { DeadLetter, Replay } from './dead-letters.js';

/** Dead letters and how far their replays are, as msgpack [format, fields …]. */

const FORMAT = 1;
const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

function unpack(value: Buffer): unknown[] {
  const [format, ...fields] = packr.unpack(value) as unknown[];
  if (format === FORMAT) return fields;
  const text = `a dead letter has format ${String(format)}, this software knows ${FORMAT}: upgrade it`;
  throw new TallyringError('UNSUPPORTED_FORMAT', text);
}

export function writeLetter(letter: DeadLetter): Buffer {
  const { partition, offset, appendedAtMs, reason, message, payload } = letter;
  return packr.pack([FORMAT, partition, offset, appendedAtMs, reason, message, payload]);
}

export function parseLetter(value: Buffer): DeadLetter {
  const fields = unpack(value) as [number, number, number, string, string, Buffer];
  const [partition, offset, appendedAtMs, reason, message, payload] = fields;
  return { partition, offset, appendedAtMs, reason, message, payload: Buffer.from(payload) };
}

export function writeReplay(replay: Replay): Buffer {
  return packr.pack(replay.state === 'done' ? [FORMAT] : [FORMAT, replay.partition, replay.end]);
}

export function parseReplay(value: Buffer): Replay {
  const [partition, end] = unpack(value) as [number?, number?];
  if (partition === undefined || end === undefined) return { state: 'done' };
  return { state: 'began', partition, end };
}
