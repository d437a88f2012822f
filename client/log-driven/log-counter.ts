import { sleep } from '../../ports/clock.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import { checkLog, decodeCheckpoint } from './checkpoint.js';
import { checkMark } from './mark.js';
import { PartitionOwner, type PartitionOwnerParts } from './partition-owner.js';
import { Standby } from './standby.js';

/** What a counter of a partition does at the moment. */
export interface LogCounterStatus {
  /**
   * standby: another process owns the partition; owner: this one counts it; stopped: something is wrong with the
   * log or the rule, which `error` says, and it is looked at again now and then; ended: `stop` or `abort`.
   */
  state: 'standby' | 'owner' | 'stopped' | 'ended';
  /** Everything before this offset is counted, as far as this process knows. */
  committed: number | undefined;
  /** Where the log ended when it was read last. */
  end: number | undefined;
  /** Who owned it when this counter looked last, unless it owns it itself; by the name that owners give themselves. */
  holder: string | undefined;
  /** Why the newest attempt at something failed; undefined when all goes well. */
  error: TallyringError | undefined;
}

/** How often a candidate looks at the register; half of it is chance. */
const LOOK_EVERY_MS = 1_000;
/** Before a partition is looked at again with whose log or rule something was wrong. */
const STOPPED_FOR_MS = 5_000;

/**
 * Counts a partition of a log exactly once, beside any number of other processes that would do the same: one owns
 * it, the others stand by and take over when it is dead or gives it back. The SDK's log-driven producer.
 */
export class LogCounter<R> {
  readonly #parts: PartitionOwnerParts<R>;
  readonly #standby: Standby;
  readonly #over = new AbortController();
  #owner: PartitionOwner<R> | undefined;
  #state: LogCounterStatus['state'] = 'standby';
  #error: TallyringError | undefined;
  #holder: string | undefined;
  #stopping = false;
  #ended: Promise<void> | undefined;

  constructor(parts: PartitionOwnerParts<R>) {
    this.#parts = parts;
    const { clock, random } = parts.ports;
    this.#standby = new Standby({
      clock,
      random,
      takeOverAfterMs: parts.limits.takeOverAfterMs,
      name: parts.name,
    });
  }

  status(): LogCounterStatus {
    const owner = this.#owner;
    return {
      state: this.#state,
      committed: owner?.committed,
      end: owner?.end,
      holder: owner === undefined ? this.#holder : undefined,
      error: owner === undefined ? this.#error : owner.lastError,
    };
  }

  /** Goes on until it is stopped; never rejects. */
  run(): Promise<void> {
    this.#ended ??= this.#run();
    return this.#ended;
  }

  /** Commits what is under way, gives the partition back, and ends: resolves then. */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#owner?.stop();
    return this.run();
  }

  /** Ends at once, as if killed. */
  abort(): void {
    this.#stopping = true;
    this.#over.abort(new TallyringError('CLOSED', 'the counter was told to end at once'));
    this.#owner?.abort();
  }

  async #run(): Promise<void> {
    const { timers, random } = this.#parts.ports;
    while (!this.#stopping) {
      let pauseMs = LOOK_EVERY_MS * (0.5 + random.next() / 2);
      try {
        if (await this.#isMyTurn()) await this.#own();
      } catch (thrown) {
        this.#error = asTallyringError(thrown);
        if (isLasting(this.#error)) {
          this.#state = 'stopped';
          pauseMs = STOPPED_FOR_MS;
          this.#parts.ports.logger.error({ register: this.#parts.register.name }, this.#error.message);
        }
      }
      if (!this.#stopping) await sleep(timers, pauseMs);
    }
    this.#state = 'ended';
  }

  /** Looks before it leaps: who would be in the wrong must not fence who is in the right. */
  async #isMyTurn(): Promise<boolean> {
    const { register, source, rule, ports } = this.#parts;
    const options = this.#callOptions();
    const beganMs = ports.clock.monotonicMs();
    const held = await register.read(options);
    const checkpoint = held?.value == null ? undefined : decodeCheckpoint(held.value);
    if (checkpoint !== undefined) {
      const wanted = { logId: source.logId, version: rule.version, lookBack: rule.lookBack };
      checkLog(checkpoint, wanted, await source.bounds(options));
    }
    const isTurn = this.#standby.observe(held, beganMs);
    const isStopped = this.#state === 'stopped';
    if (checkpoint !== undefined && (isTurn || isStopped)) await checkMark(source, checkpoint, options);
    if (isStopped) this.#state = 'standby';
    this.#error = undefined;
    this.#holder = checkpoint?.owner || undefined;
    return isTurn;
  }

  async #own(): Promise<void> {
    const { register, ports } = this.#parts;
    const owner = await PartitionOwner.acquire(this.#parts, this.#callOptions());
    const sinceMs = ports.clock.monotonicMs();
    this.#owner = owner;
    this.#state = 'owner';
    const { committed, end: pendingEnd } = owner.checkpoint;
    ports.logger.info({ register: register.name, committed, pendingEnd }, 'owns the partition');
    try {
      if (this.#stopping) owner.stop();
      await owner.run();
      ports.logger.info({ register: register.name, committed: owner.committed }, 'gave the partition back');
    } catch (thrown) {
      const error = asTallyringError(thrown);
      if (error.code === 'FENCED') this.#standby.fenced(ports.clock.monotonicMs() - sinceMs);
      const { code, message } = error;
      ports.logger.warn({ register: register.name, code, error: message }, 'owns the partition no more');
      throw error;
    } finally {
      this.#owner = undefined;
      this.#state = 'standby';
    }
  }

  #callOptions() {
    return { timeoutMs: 2 * this.#parts.limits.attemptTimeoutMs, signal: this.#over.signal };
  }
}

/** Whether trying again at once is in vain: the log or the rule is wrong. */
function isLasting({ code, retryable }: TallyringError): boolean {
  if (retryable) return false;
  return ['DATA_LOSS', 'FAILED_PRECONDITION', 'UNSUPPORTED_FORMAT', 'INVALID_ARGUMENT', 'INTERNAL'].includes(
    code,
  );
}
