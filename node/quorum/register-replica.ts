import type { Entry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import { decodeRegister, encodeRegister, type RegisterRecord, registerKey } from '../../proto/register.js';
import type { Limits } from '../config.js';
import { rowOfKey } from '../storage/keyspace.js';
import type { LocalWrite, Store } from '../storage/store.js';
import { mayAccept, mayPromise, promisedBy, type RegisterAnswer, type RegisterState } from './register.js';
import type { RegisterMemory } from './register-memory.js';

export interface RegisterReplicaParts {
  store: Store;
  memory: RegisterMemory;
  nodeId: string;
  limits: Limits;
  /** False while the node is recovering: it then has no vote. */
  isWhole(): boolean;
}

/** What one step wants written, and its answer once that is durable. */
interface Decision {
  agreed: boolean;
  entries?: Entry[];
  writes?: LocalWrite[];
}

interface Step {
  name: string;
  key: Buffer;
  decide(state: RegisterState): Decision;
  resolve(answer: RegisterAnswer): void;
  reject(error: unknown): void;
}

/** Steps that go into one commit at most. */
const MAX_STEPS = 500;

/**
 * A node in its role for registers. Steps are decided one after the other, on what is known in memory, and
 * answered when that is durable: one commit for all that came meanwhile.
 */
export class RegisterReplica {
  readonly memory: RegisterMemory;
  readonly #parts: RegisterReplicaParts;
  #waiting: Step[] = [];
  #running = false;

  constructor(parts: RegisterReplicaParts) {
    this.#parts = parts;
    this.memory = parts.memory;
  }

  /** What this replica holds, without any promise. Rejects NOT_WHOLE when it has no vote. */
  look(name: string): Promise<RegisterAnswer> {
    return this.#step(name, false, () => ({ agreed: true }));
  }

  /** Promises, durably, to refuse lower epochs than this one; or tells what it promised before. */
  promise(name: string, epoch: number): Promise<RegisterAnswer> {
    return this.#promise(name, epoch, { creates: true });
  }

  #promise(name: string, epoch: number, { creates }: { creates: boolean }): Promise<RegisterAnswer> {
    return this.#step(name, creates, (state) => {
      if (!mayPromise(state, epoch)) return { agreed: false };
      return { agreed: true, writes: this.memory.promise(name, epoch) };
    });
  }

  /** Holds a record durably; or refuses it, when it promised a higher epoch or knows the quorum to be gone. */
  accept(name: string, record: RegisterRecord): Promise<RegisterAnswer> {
    const { nodeId, limits } = this.#parts;
    if ((record.value?.length ?? 0) > limits.maxRegisterBytes) {
      throw new TallyringError(
        'INVALID_ARGUMENT',
        `a register's value has at most ${limits.maxRegisterBytes} bytes`,
      );
    }
    const known = { self: nodeId, numberOf: (id: string) => this.memory.numberOf(id) };
    return this.#step(name, true, (state) => {
      if (!mayAccept(state, record, known)) return { agreed: false };
      const entries = [encodeRegister(name, record)];
      // As a promise of its own where it is news: else a register that was never promised here has no name.
      if (record.epoch <= this.memory.promisedOf(name)) return { agreed: true, entries };
      return { agreed: true, entries, writes: this.memory.promise(name, record.epoch) };
    });
  }

  /**
   * For a node that lost its store: notes its new store and promises these epochs, so that every owner is
   * fenced. Gives, once both are durable, whether each promise was made and what is held.
   */
  async raise(
    from: { nodeId: string; storeId: string; number: number },
    epochs: readonly [name: string, epoch: number][],
  ): Promise<RegisterAnswer[]> {
    // Known at once, durable before any answer: to refuse too early is always safe.
    const noted = this.#parts.store.local.write(this.memory.note(from), { sync: true });
    // Whatever the limit of registers: others hold these already, and the node could never come back.
    const promises = epochs.map(([name, epoch]) => this.#promise(name, epoch, { creates: false }));
    const [answers] = await Promise.all([Promise.all(promises), noted]);
    return answers;
  }

  /** `creates`: it may be the first of its register here, which the limit of registers is for. */
  #step(name: string, creates: boolean, decide: Step['decide']): Promise<RegisterAnswer> {
    const { memory, limits } = this.#parts;
    if (!this.#parts.isWhole()) return Promise.reject(notWhole('this node is recovering: it has no vote'));
    if (creates && !memory.knows(name) && memory.size >= limits.maxRegisters) {
      const text = `this node holds ${memory.size} registers already, which is the limit`;
      return Promise.reject(new TallyringError('OVERLOADED', text));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ name, key: registerKey(name), decide, resolve, reject });
      if (!this.#running) void this.#runAll();
    });
  }

  async #runAll(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const steps = this.#waiting.splice(0, MAX_STEPS);
      try {
        await this.#run(steps);
      } catch (error) {
        for (const step of steps) step.reject(error);
      }
    }
    this.#running = false;
  }

  async #run(steps: readonly Step[]): Promise<void> {
    const { store } = this.#parts;
    const before = await this.#records(steps);
    const decisions = steps.map((step, i) => {
      if (before[i] === 'damaged') return undefined;
      // A decision changes what is known at once: the next step of this commit is decided on it.
      return step.decide({ promised: this.memory.promisedOf(step.name), record: before[i] });
    });
    const entries = decisions.flatMap((decision) => decision?.entries ?? []);
    const writes = decisions.flatMap((decision) => decision?.writes ?? []);
    await Promise.all([
      writes.length > 0 && store.local.write(writes, { sync: true }),
      entries.length > 0 && store.merge(entries, { sync: true }),
    ]);
    const after = await this.#records(steps);
    for (const [i, step] of steps.entries()) this.#answer(step, decisions[i], after[i]);
  }

  #answer(step: Step, decision: Decision | undefined, record: RegisterRecord | 'damaged' | undefined): void {
    const { nodeId } = this.#parts;
    if (decision === undefined || record === 'damaged') {
      step.reject(notWhole(`the record of register ${step.name} is damaged here`));
      return;
    }
    const promised = promisedBy({ promised: this.memory.promisedOf(step.name), record });
    step.resolve({ nodeId, agreed: decision.agreed, promised, storeNumber: this.memory.number, record });
  }

  async #records(steps: readonly Step[]): Promise<(RegisterRecord | 'damaged' | undefined)[]> {
    const { store } = this.#parts;
    const held = await store.get(steps.map((step) => step.key));
    const damaged = new Set(store.damagedRows().map((row) => row.toString('latin1')));
    return steps.map(({ key }, i) => {
      if (damaged.size > 0 && damaged.has(rowOfKey(key).toString('latin1'))) return 'damaged';
      return held[i] && decodeRegister(held[i].value);
    });
  }
}

function notWhole(text: string): TallyringError {
  return new TallyringError('NOT_WHOLE', text);
}
