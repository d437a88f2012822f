import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { ClientPorts } from '../ports.js';
import type { Register, RegisterOwner } from '../register.js';
import { Batches } from './batches.js';
import {
  type Checkpoint,
  checkLog,
  decodeCheckpoint,
  firstCheckpoint,
  lookBackStart,
  newestRule,
  type Wanted,
} from './checkpoint.js';
import { CheckpointWriter } from './checkpoint-writer.js';
import { checkMark } from './mark.js';
import type { LogDrivenLimits } from './options.js';
import type { OwnerContext } from './owner-context.js';
import { persist } from './record-reader.js';
import { completeCorrection, recoverPending } from './recovery.js';
import type { ShardStore } from './shard-store.js';
import type { CountingRule, LogSource } from './source.js';

export interface PartitionOwnerParts<R> {
  register: Pick<Register, 'name' | 'acquire' | 'read'>;
  source: LogSource<R>;
  rule: CountingRule<R>;
  store: ShardStore;
  /** Who this is, in words for status: not empty. */
  name: string;
  ports: Pick<ClientPorts, 'clock' | 'timers' | 'random' | 'logger'>;
  limits: LogDrivenLimits;
  /** When within flushIntervalMs it flushes: a share of it, in [0, 1). By chance when absent. */
  phase?: number | undefined;
}

/** A failure is no news any more after this: whatever still fails has failed again by then. */
const TROUBLE_SHOWN_MS = 15_000;
/** How often the log is told what is not needed any more. */
const RELEASE_EVERY_MS = 5_000;

/**
 * Owns a partition of a log and counts it, exactly once (DESIGN §11): acquires the checkpoint register, which
 * fences whoever had it; completes the batch that a predecessor left; then batch after batch writes what it
 * intends, flushes it, and commits it with the next intent. It may be killed or fenced at any point.
 */
export class PartitionOwner<R> {
  readonly #context: OwnerContext<R>;
  readonly #batches: Batches<R>;
  readonly #over = new AbortController();
  readonly #wasFree: boolean;
  #stopping = false;
  #releasedAtMs: number;
  #lastError: TallyringError | undefined;
  #lastErrorAtMs = 0;

  private constructor(
    parts: PartitionOwnerParts<R>,
    acquired: { owner: RegisterOwner; checkpoint: Checkpoint; wasFree: boolean },
  ) {
    const { register, source, rule, store, ports, limits } = parts;
    const { signal } = this.#over;
    const onTrouble = (error: TallyringError) => {
      this.#lastError = error;
      this.#lastErrorAtMs = ports.clock.monotonicMs();
      ports.logger.debug({ register: register.name, error: error.message }, 'tries again');
    };
    const { owner, checkpoint, wasFree } = acquired;
    this.#wasFree = wasFree;
    const writer = new CheckpointWriter(
      { owner, ports, timeoutMs: limits.attemptTimeoutMs, signal, onTrouble },
      checkpoint,
    );
    this.#context = {
      ...{ source, rule, store, ports, limits, writer },
      phase: parts.phase ?? ports.random.next(),
      waiting: { signal, onTrouble },
      wanted: wantedOf(parts),
      fail: (error) => this.#over.abort(error),
      onBatch: () => {
        this.#lastError = undefined;
      },
    };
    this.#batches = new Batches(this.#context);
    this.#releasedAtMs = ports.clock.monotonicMs();
  }

  /**
   * Becomes the owner; every earlier one is fenced. Throws what `Register.acquire` throws, and what is wrong with
   * the log: see `checkLog`.
   */
  static async acquire<R>(
    parts: PartitionOwnerParts<R>,
    options: { timeoutMs: number; signal?: AbortSignal | undefined },
  ): Promise<PartitionOwner<R>> {
    const owner = await parts.register.acquire(options);
    const bounds = await parts.source.bounds(options);
    const wanted = wantedOf(parts);
    const checkpoint = owner.value === null ? firstCheckpoint(wanted, bounds) : decodeCheckpoint(owner.value);
    checkLog(checkpoint, wanted, bounds);
    await checkMark(parts.source, checkpoint, options);
    const wasFree = owner.value === null || checkpoint.owner === '';
    return new PartitionOwner(parts, { owner, checkpoint: { ...checkpoint, owner: parts.name }, wasFree });
  }

  /** How far counting is known to be, as the register holds it. */
  get checkpoint(): Checkpoint {
    return this.#context.writer.held;
  }

  /** Everything before is counted, as far as this owner knows. */
  get committed(): number {
    return this.#context.writer.next.committed;
  }

  /** Where the log ended when it was read last. */
  get end(): number {
    return this.#batches.end;
  }

  /** Why the newest attempt that failed did so; undefined since the last batch that went through. */
  get lastError(): TallyringError | undefined {
    const ageMs = this.#context.ports.clock.monotonicMs() - this.#lastErrorAtMs;
    return ageMs < TROUBLE_SHOWN_MS ? this.#lastError : undefined;
  }

  /** Ends after the batch that is being filled, and gives the partition back. */
  stop(): void {
    this.#stopping = true;
  }

  /** Ends at once, as if killed: a successor completes what is under way. */
  abort(): void {
    this.#over.abort(new TallyringError('CLOSED', 'the owner was told to end at once'));
  }

  /**
   * Counts until it is stopped; rejects with FENCED when another owner took over, and with what is wrong with
   * the log or the rule. Whatever it is, nothing is lost, and nothing counted twice.
   */
  async run(): Promise<void> {
    const { source, limits } = this.#context;
    await this.#own(async () => {
      const bounds = await this.#bounds();
      await this.#batches.run(bounds, () => this.#stopping);
    });
    await source.release?.(this.#needed(), { timeoutMs: limits.attemptTimeoutMs }).catch(() => {});
  }

  /**
   * Owns the partition without counting on: once what was pending is complete, the store equals `committed`, and
   * `act` has it for itself. Gives the partition back whatever comes of it.
   */
  async hold<T>(act: (context: OwnerContext<R>) => Promise<T>): Promise<T> {
    const held = await this.#own(() =>
      act(this.#context).then(
        (ok) => ({ ok }),
        (error: unknown) => {
          if (this.#over.signal.aborted) throw error;
          return { error };
        },
      ),
    );
    if ('error' in held) throw held.error;
    return held.ok;
  }

  /** Completes what is pending, acts, and gives the partition back. */
  async #own<T>(act: () => Promise<T>): Promise<T> {
    const { writer, fail } = this.#context;
    this.#beat();
    // Until its name stands there every candidate would take what nobody has.
    if (this.#wasFree) writer.write({}).catch(fail);
    try {
      await recoverPending(this.#context);
      await completeCorrection(this.#context);
      const outcome = await act();
      await this.#context.writer.write({ owner: '' });
      return outcome;
    } catch (error) {
      throw this.#over.signal.aborted ? asTallyringError(this.#over.signal.reason) : error;
    } finally {
      this.#over.abort(new TallyringError('CLOSED', 'the owner has ended'));
    }
  }

  #bounds() {
    const { source, limits, ports, waiting } = this.#context;
    const { signal } = waiting;
    const ask = () => source.bounds({ timeoutMs: limits.attemptTimeoutMs, signal });
    return persist({ ...ports, waiting }, ask);
  }

  /** Shows candidates that this owner lives, and now and then tells the log what is done. */
  #beat(): void {
    const { ports, limits, writer, fail, waiting } = this.#context;
    ports.timers.after(limits.heartbeatMs / 2, () => {
      if (waiting.signal.aborted) return;
      if (writer.idleMs >= limits.heartbeatMs / 2) writer.write({}).catch(fail);
      this.#release();
      this.#beat();
    });
  }

  #release(): void {
    const { ports, source, limits, waiting } = this.#context;
    const nowMs = ports.clock.monotonicMs();
    if (source.release === undefined || nowMs - this.#releasedAtMs < RELEASE_EVERY_MS) return;
    this.#releasedAtMs = nowMs;
    const options = { timeoutMs: limits.attemptTimeoutMs, signal: waiting.signal };
    source.release(this.#needed(), options).catch(waiting.onTrouble);
  }

  /** The first offset that a successor may still look at. */
  #needed(): number {
    return lookBackStart(newestRule(this.checkpoint), this.checkpoint.committed);
  }
}

function wantedOf<R>({ source, rule }: PartitionOwnerParts<R>): Wanted {
  return { logId: source.logId, version: rule.version, lookBack: rule.lookBack };
}
