import { asTallyringError, TallyringError } from '../proto/errors.js';
import type { RegisterRecord } from '../proto/register.js';
import { type AttemptParts, untilAnswered } from './attempts.js';
import type { WaitLimits } from './ports.js';
import type { NodeConnection } from './transport.js';

/** What a register holds. */
export interface RegisterValue {
  /** Of its owner: greater with every acquisition. */
  epoch: number;
  /** `null` before anything was ever written. */
  value: Buffer | null;
}

type Call<T> = (connection: NodeConnection, timeoutMs: number) => Promise<T>;

/**
 * A quorum register: a small value on its name's replicas with one owner at a time. Made by
 * `client.register(name)`.
 */
export class Register {
  readonly name: string;
  readonly #parts: AttemptParts;

  constructor(name: string, parts: AttemptParts) {
    this.name = name;
    this.#parts = parts;
  }

  /**
   * Becomes the owner and takes over the newest value; every earlier owner is fenced. Throws UNAVAILABLE while
   * less than a quorum is live, WRITE_TIMEOUT when the time is over.
   */
  async acquire(options: WaitLimits = {}): Promise<RegisterOwner> {
    const record = await this.#call(options, (connection, timeoutMs) =>
      connection.acquireRegister(this.name, { timeoutMs }),
    );
    return new RegisterOwner(record, (next, limits) =>
      this.#call(limits, (connection, timeoutMs) => connection.writeRegister(this.name, next, { timeoutMs })),
    );
  }

  /** The newest value; `undefined` when nobody ever acquired it. What one read saw, every later one sees. */
  async read(options: WaitLimits = {}): Promise<RegisterValue | undefined> {
    const record = await this.#call(options, (connection, timeoutMs) =>
      connection.readRegister(this.name, { timeoutMs }),
    );
    return record && { epoch: record.epoch, value: record.value };
  }

  /** Every call may be made again through another node: acquiring twice fences but oneself, a write has a version. */
  #call<T>(options: WaitLimits, call: Call<T>): Promise<T> {
    return untilAnswered(this.#parts, { ...options, key: this.name }, call);
  }
}

/** One who acquired a register. It stays owner until another one acquires: then its writes throw FENCED. */
export class RegisterOwner {
  readonly epoch: number;
  readonly #write: (record: RegisterRecord, limits: WaitLimits) => Promise<void>;
  #record: RegisterRecord;
  #written: number;
  #fenced = false;

  constructor(record: RegisterRecord, write: (record: RegisterRecord, limits: WaitLimits) => Promise<void>) {
    this.epoch = record.epoch;
    this.#record = record;
    this.#written = record.write;
    this.#write = write;
  }

  /** The newest value that is known to stand: what was taken over, or the last write that succeeded. */
  get value(): Buffer | null {
    return this.#record.value;
  }

  /** Known to be owner no more. False proves nothing: only a write that succeeds does. */
  get fenced(): boolean {
    return this.#fenced;
  }

  /**
   * Writes a value; resolves once a quorum holds it. Throws FENCED when this is not the owner any more, and
   * WRITE_TIMEOUT; both may have applied it. INVALID_ARGUMENT for what is too large.
   */
  async write(value: Buffer, options: WaitLimits = {}): Promise<void> {
    if (this.#fenced) throw new TallyringError('FENCED', `epoch ${this.epoch} is over; nothing was written`);
    // A number of its own for every attempt with another value: (epoch, write) names one value for ever.
    // And a copy: what the caller makes of its buffer while an attempt is repeated is not this write's value.
    const record = { ...this.#record, write: ++this.#written, value: Buffer.from(value) };
    try {
      await this.#write(record, options);
    } catch (error) {
      if (asTallyringError(error).code === 'FENCED') this.#fenced = true;
      throw error;
    }
    if (record.write > this.#record.write) this.#record = record;
  }
}
