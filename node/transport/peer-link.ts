import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Clock, TimerHandle, Timers } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';
import { channelOptions } from '../../proto/channel.js';
import { errorFromWire } from '../../proto/convert.js';
import { errorFromData, TallyringError } from '../../proto/errors.js';
import { Malformed, peerService } from '../../proto/load.js';
import type { WirePeerFrame } from '../../proto/messages.js';
import { type Pending, PendingReplies } from '../../proto/pending.js';
import { fromGrpcError } from '../../proto/status.js';
import { PEER_FORMAT, PEER_METADATA } from './peer-wire.js';

export interface PeerLinkOptions {
  cluster: string;
  /** This node, the other node, and the other's `host:port`. */
  nodeId: string;
  target: string;
  address: string;
  maxReceiveBytes: number;
  clock: Clock;
  timers: Timers;
  random: Random;
  /** Told of every change of `isConnected`, with the reason of a loss. */
  onConnection(connected: boolean, reason: TallyringError | undefined): void;
  /** Bytes of a request that no longer wait. */
  onFreed(bytes: number): void;
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1_500;
/** A frozen process still accepts TCP connections; it says nothing on them. */
const CONNECT_TIMEOUT_MS = 5_000;

type PeerStream = ClientDuplexStream<WirePeerFrame, WirePeerFrame | Malformed>;

interface Attempt {
  client: Client;
  stream: PeerStream;
  timer: TimerHandle;
}

interface Waiting extends Pending {
  frame: WirePeerFrame;
  sent: boolean;
  /** Bytes count until the request is both out of the stream's buffer and answered (or given up). */
  written: boolean;
  settled: boolean;
  resolve(body: Buffer): void;
  reject(error: TallyringError): void;
}

/**
 * The stream to one peer. It connects when first used; after a loss it keeps trying, with backoff, whether
 * it is asked or not, so that a restarted node is found soon. A request waits only for the first connection:
 * while the peer is known to be away it is refused at once.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #pending: PendingReplies<Waiting>;
  #state: 'idle' | 'connecting' | 'up' | 'down' | 'closed' = 'idle';
  #attempt: Attempt | undefined;
  #unsent: Waiting[] = [];
  #failures = 0;
  #retry: TimerHandle | undefined;
  #lastError: TallyringError | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    const { clock, timers } = options;
    this.#pending = new PendingReplies({ clock, timers, onExpired: (waiting) => this.#expired(waiting) });
  }

  /** False from the moment a connection is refused or reset until one succeeds again. */
  get isConnected(): boolean {
    return this.#state !== 'down' && this.#state !== 'closed';
  }

  /** Sends a request whose bytes the caller has counted; they are given back through `onFreed`. */
  request(kind: string, body: Buffer, timeoutMs: number): Promise<Buffer> {
    if (!this.isConnected) {
      this.#options.onFreed(body.length);
      return Promise.reject(this.#awayError());
    }
    if (this.#state === 'idle') this.#connect('connecting');
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        deadlineMs: this.#options.clock.monotonicMs() + timeoutMs,
        frame: { id: 0, kind, timeoutMs: Math.max(1, Math.floor(timeoutMs)), body },
        sent: false,
        written: false,
        settled: false,
        resolve,
        reject,
      };
      waiting.frame.id = this.#pending.add(waiting);
      if (this.#state === 'up') this.#send(waiting);
      else this.#unsent.push(waiting);
    });
  }

  /** Tries at once, without waiting for the backoff: the peer has just shown itself. */
  reconnectNow(): void {
    if (this.#state !== 'down' || this.#attempt) return;
    this.#connect('down');
  }

  close(): void {
    if (this.#state === 'closed') return;
    const error = new TallyringError('CLOSED', 'this node is shutting down');
    this.#drop(this.#attempt);
    this.#state = 'closed';
    this.#retry?.cancel();
    this.#rejectAll(() => error);
  }

  #connect(state: 'connecting' | 'down'): void {
    const { cluster, nodeId, target, address, maxReceiveBytes, timers } = this.#options;
    this.#state = state;
    this.#retry?.cancel();
    // A channel of its own per attempt, so that gRPC's own backoff never delays ours.
    const client = new Client(address, credentials.createInsecure(), channelOptions({ maxReceiveBytes }));
    const metadata = new Metadata();
    metadata.set(PEER_METADATA.cluster, cluster);
    metadata.set(PEER_METADATA.node, nodeId);
    metadata.set(PEER_METADATA.target, target);
    metadata.set(PEER_METADATA.format, String(PEER_FORMAT));
    const { path, requestSerialize, responseDeserialize } = peerService.Exchange;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const lost = (error: TallyringError) => this.#lost(attempt, error);
    const timer = timers.after(CONNECT_TIMEOUT_MS, () =>
      lost(new TallyringError('UNAVAILABLE', `${target} at ${address} does not answer`)),
    );
    const attempt: Attempt = { client, stream, timer };
    this.#attempt = attempt;
    stream.on('metadata', (acceptance: Metadata) => {
      if (acceptance.get(PEER_METADATA.node)[0] === target) this.#accepted(attempt);
      else lost(new TallyringError('FAILED_PRECONDITION', `${address} is not node ${target}`));
    });
    stream.on('data', (frame: WirePeerFrame | Malformed) => this.#onReply(frame));
    stream.on('error', (error: ServiceError) => lost(fromGrpcError(error, `${target} at ${address}`, false)));
    stream.on('status', () => lost(new TallyringError('UNAVAILABLE', `${target} closed the connection`)));
  }

  #accepted(attempt: Attempt): void {
    if (attempt !== this.#attempt) return;
    attempt.timer.cancel();
    const wasAway = this.#state === 'down';
    this.#state = 'up';
    this.#failures = 0;
    this.#lastError = undefined;
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const waiting of unsent) if (!waiting.settled) this.#send(waiting);
    if (wasAway) this.#options.onConnection(true, undefined);
  }

  #send(waiting: Waiting): void {
    waiting.sent = true;
    this.#attempt?.stream.write(waiting.frame, () => {
      waiting.written = true;
      this.#free(waiting);
    });
  }

  #onReply(frame: WirePeerFrame | Malformed): void {
    // A reply that does not decode has no known number; its request runs into its deadline.
    if (frame instanceof Malformed) return;
    const waiting = this.#pending.take(frame.id);
    if (!waiting) return;
    this.#settle(waiting);
    if (frame.error) waiting.reject(errorFromData(errorFromWire(frame.error)));
    else waiting.resolve(frame.body);
  }

  #expired(waiting: Waiting): void {
    this.#settle(waiting);
    const text = `${this.#options.target} did not answer ${waiting.frame.kind} in time`;
    waiting.reject(new TallyringError('WRITE_TIMEOUT', text, { mayHaveApplied: waiting.sent }));
  }

  #settle(waiting: Waiting): void {
    waiting.settled = true;
    if (!waiting.sent) {
      waiting.written = true;
      const at = this.#unsent.indexOf(waiting);
      if (at >= 0) this.#unsent.splice(at, 1);
    }
    this.#free(waiting);
  }

  #free(waiting: Waiting): void {
    if (!waiting.written || !waiting.settled || waiting.frame.body.length === 0) return;
    this.#options.onFreed(waiting.frame.body.length);
    waiting.frame.body = Buffer.alloc(0);
  }

  /** Ends an attempt for good: its stream's later events find another attempt in place. */
  #drop(attempt: Attempt | undefined): void {
    if (!attempt) return;
    this.#attempt = undefined;
    attempt.timer.cancel();
    attempt.stream.cancel();
    attempt.client.close();
  }

  #lost(attempt: Attempt, error: TallyringError): void {
    if (attempt !== this.#attempt) return;
    this.#drop(attempt);
    const wasThought = this.isConnected;
    this.#state = 'down';
    this.#lastError = error;
    this.#rejectAll((waiting) => this.#awayError(waiting.sent));
    const { timers, random } = this.#options;
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++);
    this.#retry = timers.after(backoffMs * (0.5 + random.next() / 2), () => this.#connect('down'));
    if (wasThought) this.#options.onConnection(false, error);
  }

  #rejectAll(errorOf: (waiting: Waiting) => TallyringError): void {
    this.#unsent = [];
    for (const waiting of this.#pending.drain()) {
      // A broken stream has dropped its buffer, and may not call back.
      waiting.written = true;
      waiting.settled = true;
      this.#free(waiting);
      waiting.reject(errorOf(waiting));
    }
  }

  /** A refusal keeps its own code; what else happened is UNAVAILABLE. */
  #awayError(mayHaveApplied = false): TallyringError {
    const cause = this.#lastError;
    if (cause && cause.code !== 'UNAVAILABLE' && !mayHaveApplied) return cause;
    const text = cause?.message ?? `${this.#options.target} is not connected`;
    return new TallyringError('UNAVAILABLE', text, { cause, mayHaveApplied });
  }
}
