import { Client, credentials } from '@grpc/grpc-js';
import { callUnary, type UnaryCaller } from '../../../client/transport/unary.js';
import type { Clock } from '../../../ports/clock.js';
import { realClock } from '../../../ports/real.js';
import type { CallOptions } from '../../../proto/calls.js';
import { channelOptions, MESSAGE_SLACK_BYTES } from '../../../proto/channel.js';
import { safeFromWire, uint32ToWire } from '../../../proto/convert.js';
import { TallyringError } from '../../../proto/errors.js';
import type { Method } from '../../../proto/load.js';
import { logService, type WireLogDescription } from '../../../proto/log-service.js';
import { AppendGroups } from '../append-groups.js';
import { recordsOf } from '../block.js';
import type { DeadLetter, DeadLetterKey, DeadLetters, Replay, StoredDeadLetter } from '../dead-letters.js';
import { checkAppendSize, checkFrame, encodeFrame, type Frame } from '../frame.js';
import type {
  AppendedRun,
  EventLog,
  LogDescription,
  LogPage,
  LogReadOptions,
  PartitionAppend,
  PartitionBounds,
} from '../log.js';
import {
  boundsFromWire,
  keyToWire,
  letterFromWire,
  letterToWire,
  offsetToWire,
  replayToWire,
} from './convert.js';

export interface ConnectLogOptions {
  /** host:port of a `tallyring log`. */
  address: string;
  /** How long the log may take to say who it is. */
  timeoutMs?: number;
  clock?: Clock;
}

/** No log is configured to send greater pages. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024 + MESSAGE_SLACK_BYTES;
const CONNECT_TIMEOUT_MS = 5_000;
/** Calls on their way, and how many full ones may wait behind them. */
const APPENDS_IN_FLIGHT = 2;
const WAITING_APPENDS = 8;
/** Letters of one message, and bytes of those. */
const LETTERS_PER_CALL = 500;

export type ConnectedLog = EventLog & { deadLetters: DeadLetters };

/**
 * Connects to an embedded log and learns which one it is. Rejects UNAVAILABLE when it cannot be reached. The
 * connection comes back by itself; a log that was set up anew meanwhile is refused.
 */
export async function connectLog(options: ConnectLogOptions): Promise<ConnectedLog> {
  const { address, timeoutMs = CONNECT_TIMEOUT_MS, clock = realClock } = options;
  const channel = channelOptions({ maxReceiveBytes: MAX_ANSWER_BYTES });
  const client = new Client(address, credentials.createInsecure(), channel);
  let closed = false;
  const caller: UnaryCaller = { client, address: `the log at ${address}`, clock, isClosed: () => closed };
  const close = async () => {
    closed = true;
    client.close();
  };
  try {
    const read = { timeoutMs, writes: false };
    return new RemoteLog(caller, await callUnary(caller, logService.Describe, {}, read), close);
  } catch (error) {
    await close();
    throw error;
  }
}

type Call = <Request extends { logId: string }, Reply>(
  method: Method<Request, Reply>,
  request: Omit<NoInfer<Request>, 'logId'>,
  options: WritingCall,
) => Promise<Reply>;
type WritingCall = CallOptions & { writes: boolean };

class RemoteLog implements EventLog {
  readonly description: LogDescription;
  readonly deadLetters: DeadLetters;
  readonly close: () => Promise<void>;
  readonly #call: Call;
  readonly #limits: WireLogDescription;
  readonly #groups: AppendGroups;

  constructor(caller: UnaryCaller, described: WireLogDescription, close: () => Promise<void>) {
    const { logId, partitions } = described;
    this.description = { logId, partitions };
    this.#limits = described;
    this.#call = <Request, Reply>(method: Method<Request, Reply>, request: object, options: WritingCall) =>
      callUnary(caller, method, { ...request, logId } as Request, options);
    this.deadLetters = new RemoteDeadLetters(this.#call, described.maxAppendBytes);
    this.close = close;
    this.#groups = new AppendGroups({
      clock: caller.clock,
      maxInFlight: APPENDS_IN_FLIGHT,
      maxCallBytes: described.maxAppendBytes,
      maxWaitingBytes: WAITING_APPENDS * described.maxAppendBytes,
      send: (frames, timeoutMs) => this.#send(frames, timeoutMs),
    });
  }

  async append(appends: readonly PartitionAppend[], options: CallOptions): Promise<AppendedRun[]> {
    const frames = appends.map(({ partition, records }) =>
      encodeFrame(uint32ToWire('partition', partition), records),
    );
    checkFrames(frames, this.#limits);
    const firstOffsets = await this.#groups.append(frames, options);
    return frames.map(({ partition }, i) => ({ partition, firstOffset: firstOffsets[i]! }));
  }

  async read(partition: number, from: number, options: LogReadOptions): Promise<LogPage> {
    const maxBytes = Math.max(1, Math.min(options.maxBytes, this.#limits.maxReadBytes));
    const request = {
      partition: uint32ToWire('partition', partition),
      from: offsetToWire(from),
      maxBytes: Math.floor(maxBytes),
      waitMs: uint32ToWire('waitMs', Math.floor(options.waitMs)),
    };
    const reply = await this.#call(logService.Read, request, { ...options, writes: false });
    const records = recordsOf(reply.blocks, { partition, from, maxBytes });
    return { records, next: from + records.length, ...boundsFromWire(reply) };
  }

  async bounds(partition: number, options: CallOptions): Promise<PartitionBounds> {
    const request = { partition: uint32ToWire('partition', partition) };
    return boundsFromWire(await this.#call(logService.Bounds, request, { ...options, writes: false }));
  }

  async release(partition: number, before: number, options: CallOptions): Promise<void> {
    const request = { partition: uint32ToWire('partition', partition), before: offsetToWire(before) };
    await this.#call(logService.Release, request, { ...options, writes: true });
  }

  async #send(frames: readonly Frame[], timeoutMs: number): Promise<number[]> {
    const request = { appends: frames.map(({ bytes, ...frame }) => ({ ...frame, records: bytes })) };
    const options = { timeoutMs, writes: true };
    const { firstOffsets } = await this.#call(logService.Append, request, options);
    if (firstOffsets.length === frames.length) {
      return firstOffsets.map((offset) => safeFromWire('first_offset', offset));
    }
    const text = `${firstOffsets.length} offsets for ${frames.length} runs; please report this`;
    throw new TallyringError('INTERNAL', text, { mayHaveApplied: true });
  }
}

/** Refuses here what the log would refuse: what goes to it in one call must not fail for one of its parts. */
function checkFrames(frames: readonly Frame[], limits: WireLogDescription): void {
  let bytes = 0;
  for (const frame of frames) {
    checkFrame(frame, limits.maxRecordBytes);
    if (frame.count === 0) throw new TallyringError('INVALID_ARGUMENT', 'an append has no records');
    if (frame.partition >= limits.partitions) {
      const text = `the log has partitions 0 to ${limits.partitions - 1}, not ${frame.partition}`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    bytes += frame.bytes.length;
  }
  checkAppendSize(bytes, limits.maxAppendBytes);
}

class RemoteDeadLetters implements DeadLetters {
  readonly #call: Call;
  readonly #maxBytes: number;

  constructor(call: Call, maxBytes: number) {
    this.#call = call;
    this.#maxBytes = maxBytes;
  }

  async put(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    let group: DeadLetter[] = [];
    let bytes = 0;
    for (const letter of letters) {
      if (
        group.length >= LETTERS_PER_CALL ||
        (group.length > 0 && bytes + letter.payload.length > this.#maxBytes)
      ) {
        await this.#put(group, options);
        group = [];
        bytes = 0;
      }
      group.push(letter);
      bytes += letter.payload.length;
    }
    if (group.length > 0) await this.#put(group, options);
  }

  async list(
    after: DeadLetterKey | undefined,
    limit: number,
    options: CallOptions,
  ): Promise<StoredDeadLetter[]> {
    const request = { after: after && keyToWire(after), limit: uint32ToWire('limit', limit) };
    const reply = await this.#call(logService.ListDeadLetters, request, { ...options, writes: false });
    return reply.letters.map(letterFromWire);
  }

  async mark(key: DeadLetterKey, replay: Replay, options: CallOptions): Promise<void> {
    const request = { key: keyToWire(key), replay: replayToWire(replay) };
    await this.#call(logService.MarkDeadLetter, request, { ...options, writes: true });
  }

  async #put(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    const request = { letters: letters.map(letterToWire) };
    await this.#call(logService.PutDeadLetters, request, { ...options, writes: true });
  }
}
