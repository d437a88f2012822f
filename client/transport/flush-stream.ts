import { type Client, type ClientDuplexStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Clock, Timers } from '../../ports/clock.js';
import type { CallOptions, FlushReply, FlushRequest } from '../../proto/calls.js';
import { errorFromWire, flushReplyFromWire, levelToWire, safeToWire } from '../../proto/convert.js';
import { errorFromData, TallyringError } from '../../proto/errors.js';
import { counterService, Malformed } from '../../proto/load.js';
import type { WireFlushReply, WireFlushRequest } from '../../proto/messages.js';
import { type Pending, PendingReplies } from '../../proto/pending.js';
import { fromGrpcError } from '../../proto/status.js';
import { abortReason, closedError } from './unary.js';

interface Waiting extends Pending {
  resolve(reply: FlushReply): void;
  reject(error: unknown): void;
}

type Stream = ClientDuplexStream<WireFlushRequest, WireFlushReply | Malformed>;

/** The one stream of flushes to a node: opened when needed, opened again after it broke. */
export class FlushStream {
  readonly #client: Client;
  readonly #address: string;
  readonly #clock: Clock;
  readonly #pending: PendingReplies<Waiting>;
  #stream: Stream | undefined;
  #closed = false;

  constructor(options: { client: Client; address: string; clock: Clock; timers: Timers }) {
    const { clock, timers, address } = options;
    this.#client = options.client;
    this.#address = address;
    this.#clock = clock;
    const onExpired = (waiting: Waiting) =>
      waiting.reject(new TallyringError('WRITE_TIMEOUT', `${address} did not acknowledge a flush in time`));
    this.#pending = new PendingReplies({ clock, timers, onExpired });
  }

  async flush(request: FlushRequest, { timeoutMs, signal }: CallOptions): Promise<FlushReply> {
    if (this.#closed) throw closedError(this.#address);
    if (signal?.aborted) throw abortReason(signal);
    const message: WireFlushRequest = {
      id: 0,
      ringEpoch: safeToWire('ringEpoch', request.ringEpoch),
      consistency: levelToWire(request.level),
      timeoutMs: Math.max(1, Math.floor(timeoutMs)),
      batch: request.batch,
    };
    const answered = new Promise<FlushReply>((resolve, reject) => {
      message.id = this.#pending.add({ deadlineMs: this.#clock.monotonicMs() + timeoutMs, resolve, reject });
    });
    this.#stream ??= this.#open();
    this.#stream.write(message);
    return signal ? this.#untilAborted(answered, message.id, signal) : answered;
  }

  close(): void {
    this.#closed = true;
    this.#stream?.cancel();
    this.#stream = undefined;
    for (const waiting of this.#pending.drain()) waiting.reject(closedError(this.#address, true));
  }

  #open(): Stream {
    const { path, requestSerialize, responseDeserialize } = counterService.Flush;
    const stream: Stream = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      new Metadata(),
    );
    const lost = (error: TallyringError) => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      for (const waiting of this.#pending.drain()) waiting.reject(error);
    };
    stream.on('data', (reply: WireFlushReply | Malformed) => this.#onReply(reply));
    stream.on('error', (error: ServiceError) => lost(fromFlushError(error, this.#address)));
    stream.on('status', () => {
      const text = `${this.#address} closed the stream before it acknowledged`;
      lost(new TallyringError('UNAVAILABLE', text, { mayHaveApplied: true }));
    });
    return stream;
  }

  #onReply(reply: WireFlushReply | Malformed): void {
    // A reply that does not decode has no known number; its request runs into its deadline.
    if (reply instanceof Malformed) return;
    const waiting = this.#pending.take(reply.id);
    if (!waiting) return;
    if (reply.error) waiting.reject(errorFromData(errorFromWire(reply.error)));
    else waiting.resolve(flushReplyFromWire(reply));
  }

  /** The reply that comes after an abort is dropped; the node may still apply the batch. */
  async #untilAborted(answered: Promise<FlushReply>, id: number, signal: AbortSignal): Promise<FlushReply> {
    const abort = () => this.#pending.take(id)?.reject(abortReason(signal));
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await answered;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

/** A flush is idempotent: the same one may always be sent again. */
function fromFlushError(error: ServiceError, address: string): TallyringError {
  const found = fromGrpcError(error, address, true);
  if (found.code !== 'UNAVAILABLE' || found.retryable) return found;
  const { message, mayHaveApplied } = found;
  return new TallyringError('UNAVAILABLE', message, { cause: error, mayHaveApplied, retryable: true });
}
