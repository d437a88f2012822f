import { type Method, serviceOf } from './load.js';
import type { WireInt64 } from './messages.js';

/**
 * The service tallyring.log.v1.Log and its messages, as @grpc/proto-loader gives and takes them (see messages.ts).
 * An absent message is null when decoded.
 */
export interface LogService {
  Describe: Method<Record<string, never>, WireLogDescription>;
  Append: Method<WireAppendRequest, WireAppendReply>;
  Read: Method<WireReadRequest, WireReadReply>;
  Bounds: Method<WireBoundsRequest, WireBounds>;
  Release: Method<WireReleaseRequest, Record<string, never>>;
  PutDeadLetters: Method<WirePutDeadLettersRequest, Record<string, never>>;
  ListDeadLetters: Method<WireListDeadLettersRequest, WireListDeadLettersReply>;
  MarkDeadLetter: Method<WireMarkDeadLetterRequest, Record<string, never>>;
}

export const LOG_SERVICE = 'tallyring.log.v1.Log';
export const logService = serviceOf<LogService>(LOG_SERVICE);

export interface WireLogDescription {
  logId: string;
  partitions: number;
  maxAppendBytes: number;
  maxRecordBytes: number;
  maxReadBytes: number;
}

interface OfLog {
  logId: string;
}

export interface WireAppendRequest extends OfLog {
  appends: { partition: number; count: number; records: Buffer }[];
}

export interface WireAppendReply {
  firstOffsets: WireInt64[];
}

export interface WireReadRequest extends OfLog {
  partition: number;
  from: WireInt64;
  maxBytes: number;
  waitMs: number;
}

export interface WireBounds {
  start: WireInt64;
  end: WireInt64;
}

export interface WireReadReply extends WireBounds {
  blocks: Buffer[];
}

export interface WireBoundsRequest extends OfLog {
  partition: number;
}

export interface WireReleaseRequest extends OfLog {
  partition: number;
  before: WireInt64;
}

export interface WireDeadLetterKey {
  partition: number;
  offset: WireInt64;
}

export interface WireReplay {
  done: boolean;
  partition: number;
  end: WireInt64;
}

export interface WireDeadLetter {
  key: WireDeadLetterKey | null | undefined;
  appendedAtMs: WireInt64;
  reason: string;
  message: string;
  payload: Buffer;
  replay?: WireReplay | null | undefined;
}

export interface WirePutDeadLettersRequest extends OfLog {
  letters: WireDeadLetter[];
}

export interface WireListDeadLettersRequest extends OfLog {
  after?: WireDeadLetterKey | null | undefined;
  limit: number;
}

export interface WireListDeadLettersReply {
  letters: WireDeadLetter[];
}

export interface WireMarkDeadLetterRequest extends OfLog {
  key: WireDeadLetterKey | null | undefined;
  replay: WireReplay | null | undefined;
}
