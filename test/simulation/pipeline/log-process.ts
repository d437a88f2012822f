import { Packr } from 'msgpackr';
import { silentLogger } from '../../../ports/logger.js';
import type { CallOptions } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import { checkBlock, recordsOf } from '../../../services/log/block.js';
import { logConfigSchema } from '../../../services/log/config.js';
import { type LogCore, openLogCore } from '../../../services/log/core.js';
import type { DeadLetter, DeadLetters } from '../../../services/log/dead-letters.js';
import type { EventLog, LogDescription, LogRecord } from '../../../services/log/log.js';
import { createLog } from '../../../services/log/opening.js';
import type { SimNetwork } from '../network.js';
import { SimProcess } from '../process.js';
import { frame, unframe } from '../rpc.js';
import type { SeededRandom } from '../seeded-random.js';
import type { Trace } from '../trace.js';
import type { VirtualClock, VirtualTime } from '../virtual-time.js';
import { LogDisk } from './log-disk.js';

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

export const LOG = 'log';

export interface LogProcessParts {
  time: VirtualTime;
  network: SimNetwork;
  trace: Trace;
  random: SeededRandom;
  partitions: number;
  /** Records older than this may go, once they are released. */
  retentionMs: number;
  /** Told what the log is told that nobody needs any more. */
  released(partition: number, before: number): void;
  count(name: string): void;
}

const METHODS = ['append', 'read', 'bounds', 'release', 'put'] as const;
type Method = (typeof METHODS)[number];

/** The embedded log as a process of its own, which may be killed and paused. */
export class LogProcess {
  readonly description: LogDescription;
  readonly disk: LogDisk;
  readonly clock: VirtualClock;
  readonly #parts: LogProcessParts;
  #process: SimProcess | undefined;
  #core: LogCore | undefined;
  #created = false;
  #isOver = false;

  constructor(parts: LogProcessParts) {
    this.#parts = parts;
    this.disk = new LogDisk(parts.random.fork('log disk'), parts.count);
    this.description = { logId: 'simulated-log', partitions: parts.partitions };
    this.clock = parts.time.clock();
    this.start();
  }

  get running(): boolean {
    return this.#process?.alive ?? false;
  }

  start(): void {
    const { time, network, trace } = this.#parts;
    const process = new SimProcess(LOG, time);
    this.#process = process;
    this.#core = undefined;
    network.attach(process, (_from, method, payload, timeoutMs) =>
      frame(() => this.#serve(method, payload, timeoutMs)),
    );
    trace.note('the log starts');
    void this.#open(process);
  }

  async #open(process: SimProcess): Promise<void> {
    const store = this.disk.open(process);
    if (!this.#created) await createLog(store, this.description);
    this.#created = true;
    const limits = logConfigSchema.parse({
      retention: { ageMs: this.#parts.retentionMs, intervalMs: 1_000 },
    });
    const { clock, description } = this;
    this.#core = await openLogCore({
      store,
      description,
      limits,
      clock,
      timers: process,
      logger: silentLogger,
    });
  }

  kill(): boolean {
    if (this.#process === undefined || !this.#process.alive) return false;
    this.#parts.trace.note('the log is killed');
    this.#process.kill();
    this.#parts.network.died(this.#process);
    return true;
  }

  jump(offsetMs: number): string {
    const before = this.clock.offsetMs;
    this.clock.offsetMs = offsetMs;
    return offsetMs < before ? 'log clock set back' : 'log clock set forward';
  }

  pause(): void {
    this.#process?.pause();
  }

  resume(): void {
    this.#process?.resume();
  }

  /** Where each partition ends, as far as it is durable. */
  ends(): number[] {
    return this.contents().map((records) => (records.at(-1)?.offset ?? -1) + 1);
  }

  /** What was put aside, as it is on the disk. */
  deadLetters(): DeadLetter[] {
    return this.disk.deadLetters();
  }

  /** All records that were ever durable, by partition. */
  contents(): LogRecord[][] {
    const partitions = Array.from({ length: this.description.partitions }, (): LogRecord[] => []);
    for (const block of this.disk.blocks()) {
      const { partition, firstOffset: from } = checkBlock(block);
      partitions[partition]!.push(
        ...recordsOf([block], { partition, from, maxBytes: Number.MAX_SAFE_INTEGER }),
      );
    }
    for (const records of partitions) records.sort((a, b) => a.offset - b.offset);
    return partitions;
  }

  /** From now on what is still on its way to the log is not taken: what is there is all that there will be. */
  end(): void {
    this.#isOver = true;
  }

  async #serve(method: string, payload: Buffer, timeoutMs: number): Promise<Buffer> {
    const core = this.#core;
    if (core === undefined)
      throw new TallyringError('UNAVAILABLE', 'the log starts', { mayHaveApplied: false });
    const args = packr.unpack(payload) as unknown[];
    const name = method.slice('log.'.length) as Method;
    if (name === 'append' && this.#isOver) {
      throw new TallyringError('UNAVAILABLE', 'the run is over', { mayHaveApplied: false });
    }
    if (name === 'release') this.#parts.released(args[0] as number, args[1] as number);
    const options = { ...(args.at(-1) as object), timeoutMs };
    const call = (name === 'put' ? core.deadLetters.put : core[name]) as (
      ...args: unknown[]
    ) => Promise<unknown>;
    const answer = await call.call(name === 'put' ? core.deadLetters : core, ...args.slice(0, -1), options);
    return packr.pack([answer]);
  }
}

/** How a process reaches the log. */
export function simLog(network: SimNetwork, from: SimProcess, description: LogDescription) {
  const call = async (method: Method, args: unknown[], options: CallOptions): Promise<unknown> => {
    const { signal, timeoutMs, ...others } = options;
    signal?.throwIfAborted();
    const writes = method === 'append' || method === 'put';
    const timedOut = () =>
      new TallyringError(writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT', `no answer to ${method}`);
    const payload = packr.pack([...args, others]);
    const once = method === 'append';
    const reply = await network.call({
      from,
      to: LOG,
      method: `log.${method}`,
      payload,
      timeoutMs,
      timedOut,
      once,
      bounded: false,
    });
    return (packr.unpack(unframe(reply)) as unknown[])[0];
  };
  const log: EventLog & { deadLetters: Pick<DeadLetters, 'put'> } = {
    description,
    append: (appends, options) => call('append', [appends], options) as ReturnType<EventLog['append']>,
    read: (partition, at, options) => call('read', [partition, at], options) as ReturnType<EventLog['read']>,
    bounds: (partition, options) => call('bounds', [partition], options) as ReturnType<EventLog['bounds']>,
    release: (partition, before, options) => call('release', [partition, before], options) as Promise<void>,
    close: async () => {},
    deadLetters: { put: (letters, options) => call('put', [letters], options) as Promise<void> },
  };
  return log;
}
