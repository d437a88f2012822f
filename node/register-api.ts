import { checkKey } from '../counter/validate.js';
import type { CallOptions, RegisterCalls } from '../proto/calls.js';
import type { RegisterRecord } from '../proto/register.js';
import { measured } from './measured.js';
import type { NodeContext } from './quorum/context.js';
import type { Registers } from './quorum/registers.js';

/** What a node does for the owners and readers of registers: checks at the edge, then coordinates. */
export class RegisterApi implements RegisterCalls {
  readonly #context: NodeContext;
  readonly #registers: Registers;

  constructor(context: NodeContext, registers: Registers) {
    this.#context = context;
    this.#registers = registers;
  }

  acquireRegister(name: string, { timeoutMs }: CallOptions): Promise<RegisterRecord> {
    return this.#measured('acquireRegister', name, () => this.#registers.acquire(name, timeoutMs));
  }

  writeRegister(name: string, record: RegisterRecord, { timeoutMs }: CallOptions): Promise<void> {
    return this.#measured('writeRegister', name, () => this.#registers.write(name, record, timeoutMs));
  }

  readRegister(name: string, { timeoutMs }: CallOptions): Promise<RegisterRecord | undefined> {
    return this.#measured('readRegister', name, () => this.#registers.read(name, timeoutMs));
  }

  #measured<T>(call: string, name: string, run: () => Promise<T>): Promise<T> {
    return measured(this.#context, { call, level: 'QUORUM' }, async () => {
      checkKey(name);
      return run();
    });
  }
}
