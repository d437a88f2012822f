import { TallyringError } from '../../proto/errors.js';
import type { SimProcess } from './process.js';
import type { SeededRandom } from './seeded-random.js';
import type { Trace } from './trace.js';
import type { VirtualTime } from './virtual-time.js';

/** How badly the network behaves. Rates are per message, in each direction. */
export interface NetworkFaults {
  minDelayMs: number;
  maxDelayMs: number;
  /** Messages that vanish. Lost requests are not applied, lost replies are. */
  lossRate: number;
  /** Messages that arrive much later, up to `slowMs`. */
  slowRate: number;
  slowMs: number;
  /** Requests that arrive a second time, at a time of their own. */
  duplicateRate: number;
  /** Whether a message may overtake another one on the same link. */
  reorder: boolean;
}

export const PERFECT_NETWORK: NetworkFaults = {
  minDelayMs: 0.2,
  maxDelayMs: 1,
  lossRate: 0,
  slowRate: 0,
  slowMs: 0,
  duplicateRate: 0,
  reorder: false,
};

/** What a process answers: bytes in, bytes out; rejections travel as well (see rpc.ts). */
export type Serve = (from: string, method: string, payload: Buffer, timeoutMs: number) => Promise<Buffer>;

interface Host {
  process: SimProcess;
  serve: Serve | undefined;
}

export interface Call {
  from: SimProcess;
  to: string;
  method: string;
  payload: Buffer;
  timeoutMs: number;
  timedOut: () => TallyringError;
  /** Never delivered twice: no transport does that to a plain increment, which counts again if it is. */
  once?: boolean;
  /** Refused while the link is full, as a peer's is. */
  bounded?: boolean;
}

/** A peer's or node's answer, as it reaches the process that asked. */
export interface Reply {
  method: string;
  from: string;
  to: string;
  /** What was asked, and the reply's frame. */
  request: Buffer;
  reply: Buffer;
}

/** A request, as it reaches the process that serves it. */
export type Arrival = Pick<Reply, 'method' | 'from' | 'to' | 'request'>;

/** Told of what is delivered, before anybody acts on it. */
export interface NetworkWatcher {
  arrived?(arrival: Arrival): void;
  replied?(reply: Reply): void;
}

interface InFlight extends Call {
  settle: (outcome: Buffer | TallyringError) => void;
  delivered: boolean;
}

/**
 * Requests and replies between named processes. A dead process refuses at once, and resets what is under
 * way to it when it dies; a paused one or one behind a partition is silent.
 */
export class SimNetwork {
  faults: NetworkFaults = { ...PERFECT_NETWORK };
  /** Bytes on their way from one process to another beyond which a further request is refused. */
  maxQueueBytes = 32 * 1024 * 1024;
  readonly watchers = new Set<NetworkWatcher>();
  /** What befell single messages, by name. */
  readonly struck: Record<string, number> = {};
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #hosts = new Map<string, Host>();
  /** Directions of links, and how many partitions cut each. */
  readonly #blocked = new Map<string, number>();
  /** How much later everything to and from a machine is. */
  readonly #slowMs = new Map<string, number>();
  readonly #lastArrivalMs = new Map<string, number>();
  readonly #queuedBytes = new Map<string, number>();
  readonly #inFlight = new Set<InFlight>();

  constructor(parts: { time: VirtualTime; random: SeededRandom; trace: Trace }) {
    this.#time = parts.time;
    this.#random = parts.random;
    this.#trace = parts.trace;
  }

  /** Puts a process on the network, in place of its predecessor of the same name. */
  attach(process: SimProcess, serve?: Serve): void {
    this.#hosts.set(process.name, { process, serve });
  }

  /** Call when a process was killed: everything under way to it is reset, and nobody waits in it any more. */
  died(process: SimProcess): void {
    for (const link of this.#queuedBytes.keys()) {
      if (link.startsWith(`${process.name}>`)) this.#queuedBytes.delete(link);
    }
    for (const call of [...this.#inFlight]) {
      if (call.from === process) this.#inFlight.delete(call);
      if (call.to !== process.name) continue;
      this.#send(call.to, call.from.name, () => this.#answer(call, reset(call)));
    }
  }

  block(from: string, to: string): void {
    const link = `${from}>${to}`;
    this.#blocked.set(link, (this.#blocked.get(link) ?? 0) + 1);
  }

  unblock(from: string, to: string): void {
    const link = `${from}>${to}`;
    const cuts = this.#blocked.get(link) ?? 0;
    if (cuts > 1) this.#blocked.set(link, cuts - 1);
    else this.#blocked.delete(link);
  }

  /** From now on all that a machine sends and gets is so much later. */
  slow(name: string, delayMs: number): void {
    if (delayMs > 0) this.#slowMs.set(name, delayMs);
    else this.#slowMs.delete(name);
  }

  /** Names of the living processes. */
  names(): string[] {
    return [...this.#hosts].filter(([, host]) => host.process.alive).map(([name]) => name);
  }

  unblockAll(): void {
    this.#blocked.clear();
  }

  healAll(): void {
    this.#blocked.clear();
    this.#slowMs.clear();
    this.faults = { ...PERFECT_NETWORK };
  }

  /** Whether a connection attempt would succeed now. */
  accepts(from: string, to: string): boolean {
    return this.#passes(from, to) && this.#passes(to, from) && (this.#hosts.get(to)?.process.alive ?? false);
  }

  /** Resolves with the reply frame, rejects as `Peers.request` does. */
  call(call: Call): Promise<Buffer> {
    const link = `${call.from.name}>${call.to}`;
    const queued = this.#queuedBytes.get(link) ?? 0;
    if (call.bounded !== false && queued > 0 && queued + call.payload.length > this.maxQueueBytes) {
      return Promise.reject(new TallyringError('OVERLOADED', `too much waits for ${call.to}`));
    }
    return new Promise((resolve, reject) => {
      const timer = call.from.after(call.timeoutMs, () => inFlight.settle(call.timedOut()));
      const inFlight: InFlight = {
        ...call,
        delivered: false,
        settle: (outcome) => {
          if (!this.#inFlight.delete(inFlight)) return;
          timer.cancel();
          this.#queuedBytes.set(link, (this.#queuedBytes.get(link) ?? 0) - call.payload.length);
          if (Buffer.isBuffer(outcome)) resolve(outcome);
          else reject(outcome);
        },
      };
      this.#inFlight.add(inFlight);
      this.#queuedBytes.set(link, queued + call.payload.length);
      this.#dispatch(inFlight);
    });
  }

  #dispatch(call: InFlight): void {
    const { from, to } = call;
    if (!this.#hosts.get(to)?.process.alive) {
      // Behind a partition nobody says so: silence until the timeout.
      if (!this.#passes(from.name, to) || !this.#passes(to, from.name)) return;
      from.after(0.1, () => call.settle(refused(call)));
      return;
    }
    this.#send(from.name, to, () => this.#arrive(call), call.method);
    if (call.once || !this.#random.chance(this.faults.duplicateRate)) return;
    this.#count('message duplicated');
    this.#send(from.name, to, () => this.#arrive(call), call.method);
  }

  #count(what: string): void {
    this.struck[what] = (this.struck[what] ?? 0) + 1;
  }

  #arrive(call: InFlight): void {
    const host = this.#hosts.get(call.to)!;
    if (!host.process.alive || host.serve === undefined) {
      this.#send(call.to, call.from.name, () => this.#answer(call, reset(call)));
      return;
    }
    const { serve } = host;
    host.process.deliver(() => {
      call.delivered = true;
      const payload = Buffer.from(call.payload);
      const arrival = { method: call.method, from: call.from.name, to: call.to, request: payload };
      for (const watcher of this.watchers) watcher.arrived?.(arrival);
      this.#trace.delivered(`${call.from.name} > ${call.to}: ${call.method}`, payload);
      void serve(call.from.name, call.method, payload, call.timeoutMs).then((reply) => {
        if (!host.process.alive) return;
        this.#send(call.to, call.from.name, () => this.#answer(call, reply), `reply to ${call.method}`);
      });
    });
  }

  #answer(call: InFlight, outcome: Buffer | TallyringError): void {
    call.from.deliver(() => {
      if (!this.#inFlight.has(call)) return;
      const what = outcome instanceof TallyringError ? outcome.code : 'reply';
      this.#trace.delivered(
        `${call.to} > ${call.from.name}: ${what} to ${call.method}`,
        Buffer.isBuffer(outcome) ? outcome : Buffer.alloc(0),
      );
      if (Buffer.isBuffer(outcome)) {
        const { method, from, to, payload: request } = call;
        const reply = { method, from: to, to: from.name, request, reply: outcome };
        for (const watcher of this.watchers) watcher.replied?.(reply);
      }
      // Whoever was paused or killed just now has not seen it.
      call.from.deliver(() => call.settle(outcome));
    });
  }

  /** One message on a link: lost, late or in order, as the faults have it. Resets, without a name, are never lost. */
  #send(from: string, to: string, arrive: () => void, message?: string): void {
    const lost = (why: string) =>
      this.#trace.keepsStory && this.#trace.tell(`lost: ${from} > ${to}: ${message ?? 'reset'} (${why})`);
    if (!this.#passes(from, to)) {
      lost('partition');
      return;
    }
    const { faults } = this;
    const random = this.#random;
    if (message !== undefined && random.chance(faults.lossRate)) {
      this.#count('message lost');
      lost('by chance');
      return;
    }
    let delayMs = random.between(faults.minDelayMs, faults.maxDelayMs);
    if (random.chance(faults.slowRate)) {
      delayMs += random.next() * faults.slowMs;
      this.#count('message delayed');
    }
    delayMs += (this.#slowMs.get(from) ?? 0) + (this.#slowMs.get(to) ?? 0);
    const link = `${from}>${to}`;
    let atMs = this.#time.nowMs + delayMs;
    const lastMs = this.#lastArrivalMs.get(link) ?? 0;
    if (atMs > lastMs) this.#lastArrivalMs.set(link, atMs);
    else if (faults.reorder) this.#count('message reordered');
    else {
      atMs = lastMs + 1e-6;
      this.#lastArrivalMs.set(link, atMs);
    }
    this.#time.after(atMs - this.#time.nowMs, () => {
      if (this.#passes(from, to)) arrive();
      else lost('partition');
    });
  }

  #passes(from: string, to: string): boolean {
    return this.#blocked.size === 0 || !this.#blocked.has(`${from}>${to}`);
  }
}

function refused(call: Call): TallyringError {
  return new TallyringError('UNAVAILABLE', `${call.to} refused the connection`, { mayHaveApplied: false });
}

function reset(call: Call): TallyringError {
  return new TallyringError('UNAVAILABLE', `the connection to ${call.to} was reset`, {
    mayHaveApplied: true,
  });
}
