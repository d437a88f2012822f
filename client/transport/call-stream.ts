import { type Client, type ClientDuplexStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Clock, Timers } from '../../ports/clock.js';
import type { CallOptions } from '../../proto/calls.js';
import { errorFromWire } from '../../proto/convert.js';
import { errorFromData, TallyringError } from '../../proto/errors.js';
import { Malformed, type Method } from '../../proto/load.js';
import type { WireNumberedReply, WireNumberedRequest } from '../../proto/messages.js';
import { type Pending, PendingReplies } from '../../proto/pending.js';
import { fromGrpcError } from '../../proto/status.js';
import { abortReason, closedError } from './unary.js';

/** An open stream keeps its process alive, so one that nobody uses is ended; opening costs one unary call. */
const IDLE_MS = 1_000;
/** What a timer takes. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

interface Waiting<Reply> extends Pending {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

export interface CallStreamOptions<Request, Reply> {
  client: Client;
  address: string;
  clock: Clock;
  timers: Timers;
  method: Method<Request, Reply>;
  /** Whether the calls change something (see fromGrpcError). */
  writes: boolean;
}

/**
 * Calls of one method to a node as numbered messages of one stream, which cost a fraction of unary calls.
 * The stream is opened when needed, and again after it broke. Calls must be idempotent: UNAVAILABLE is
 * always retryable here.
 */
export class CallStream<Request extends WireNumberedRequest, Reply extends WireNumberedReply> {
  readonly #options: CallStreamOptions<Request, Reply>;
  readonly #pending: PendingReplies<Waiting<Reply>>;
  #stream: ClientDuplexStream<Request, Reply | Malformed> | undefined;
  #used = false;
  #closed = false;

  constructor(options: CallStreamOptions<Request, Reply>) {
    const { clock, timers, address, writes } = options;
    this.#options = options;
    const code = writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
    const onExpired = (waiting: Waiting<Reply>) =>
      waiting.reject(new TallyringError(code, `${address} did not answer in time`));
    this.#pending = new PendingReplies({ clock, timers, onExpired });
  }

  /** Numbers the request, gives it its timeout and sends it. Rejects with the reply's own error too. */
  async call(request: Request, { timeoutMs, signal }: CallOptions): Promise<Reply> {
    if (this.#closed) throw closedError(this.#options.address);
    if (signal?.aborted) throw abortReason(signal);
    const waitMs = Math.min(timeoutMs, MAX_TIMEOUT_MS);
    request.timeoutMs = Math.max(1, Math.floor(waitMs));
    const answered = new Promise<Reply>((resolve, reject) => {
      const deadlineMs = this.#options.clock.monotonicMs() + waitMs;
      request.id = this.#pending.add({ deadlineMs, resolve, reject });
    });
    this.#stream ??= this.#open();
    this.#used = true;
    this.#stream.write(request);
    return signal ? this.#untilAborted(answered, request.id, signal) : answered;
  }

  close(): void {
    const { address, writes } = this.#options;
    this.#closed = true;
    this.#stream?.cancel();
    this.#stream = undefined;
    for (const waiting of this.#pending.drain()) waiting.reject(closedError(address, writes));
  }

  #open(): ClientDuplexStream<Request, Reply | Malformed> {
    const { client, address, method, writes } = this.#options;
    const { path, requestSerialize, responseDeserialize } = method;
    const stream: ClientDuplexStream<Request, Reply | Malformed> = client.makeBidiStreamRequest(
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
    stream.on('data', (reply: Reply | Malformed) => this.#onReply(reply));
    stream.on('error', (error: ServiceError) => lost(lossError(error, address, writes)));
    stream.on('status', () => {
      const text = `${address} closed the stream before it answered`;
      lost(new TallyringError('UNAVAILABLE', text, { mayHaveApplied: writes }));
    });
    this.#endWhenIdle(stream);
    return stream;
  }

  #endWhenIdle(stream: ClientDuplexStream<Request, Reply | Malformed>): void {
    this.#options.timers.after(IDLE_MS, () => {
      if (this.#stream !== stream) return;
      if (this.#used || this.#pending.size > 0) {
        this.#used = false;
        this.#endWhenIdle(stream);
      } else {
        this.#stream = undefined;
        stream.end();
      }
    });
  }

  #onReply(reply: Reply | Malformed): void {
    // A reply that does not decode has no known number; its request runs into its deadline.
    if (reply instanceof Malformed) return;
    const waiting = this.#pending.take(reply.id);
    if (!waiting) return;
    if (reply.error) waiting.reject(errorFromData(errorFromWire(reply.error)));
    else waiting.resolve(reply);
  }

  /** The reply that comes after an abort is dropped; the node may still do what was asked. */
  async #untilAborted(answered: Promise<Reply>, id: number, signal: AbortSignal): Promise<Reply> {
    const abort = () => this.#pending.take(id)?.reject(abortReason(signal));
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await answered;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

function lossError(error: ServiceError, address: string, writes: boolean): TallyringError {
  const found = fromGrpcError(error, address, writes);
  if (found.code !== 'UNAVAILABLE' || found.retryable) return found;
  const { message, mayHaveApplied } = found;
  return new TallyringError('UNAVAILABLE', message, { cause: error, mayHaveApplied, retryable: true });
}
