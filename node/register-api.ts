import { checkKey } from '../counter/validate.js';
import type { CallOptions, RegisterCalls } from '../proto/calls.js';
import { asTallyringError } from '../proto/errors.js';
import type { RegisterRecord } from '../proto/register.js';
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

  async #measured<T>(call: string, name: string, run: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#context;
    const startMs = clock.monotonicMs();
    const level = 'QUORUM';
    let code = 'OK';
    try {
      checkKey(name);
      return await run();
    } catch (error) {
      const known = asTallyringError(error);
      code = known.code;
      throw known;
    } finally {
      metrics.requests.inc({ call, level, code });
      metrics.requestSeconds.observe({ call, level }, (clock.monotonicMs() - startMs) / 1000);
    }
  }
}
