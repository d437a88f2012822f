import type { NodeConnection } from '../../client/transport.js';
import { sleep } from '../../ports/clock.js';
import { asTallyringError } from '../../proto/errors.js';
import type { RegisterRecord } from '../../proto/register.js';
import { SimProcess } from './process.js';
import { simClientTransport } from './rpc.js';
import type { SeededRandom } from './seeded-random.js';
import { CALL_TIMEOUT_MS, repeatedly, type Workload, type WorkloadParts } from './workloads.js';

/** What owners and readers of registers did and were told, for the checker. */
export interface RegisterOperation {
  client: string;
  kind: 'acquire' | 'write' | 'read';
  name: string;
  began: number;
  ended: number | undefined;
  outcome: 'waiting' | 'done' | 'fenced' | 'failed';
  /** The record that was written; or that was read, or taken over (under its new epoch). */
  record?: RegisterRecord;
}

/** Of each of the last calls. */
const LAST_ATTEMPTS = 20;
const LAST_PAUSE_MS = 500;
const NAMES = ['checkpoint-1', 'checkpoint-2'];

/**
 * A process that wants to own registers: acquires at random moments, writes while it believes to be the owner,
 * loses its patience (stalls) and wakes up as a zombie beside its successor; and readers. Every value that is
 * written is unlike any other.
 */
export class RegisterOwner implements Workload {
  readonly #parts: WorkloadParts;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #process: SimProcess;
  readonly #connections: NodeConnection[];
  readonly #workload: Workload;
  /** What it believes to own. */
  readonly #owned = new Map<string, RegisterRecord>();
  readonly #busy = new Set<string>();
  #written = 0;

  constructor(parts: WorkloadParts, name: string) {
    const { config, network, nodeAt, time } = parts;
    this.#parts = parts;
    this.#name = name;
    this.#random = parts.random.fork(name);
    this.#process = new SimProcess(name, time);
    network.attach(this.#process);
    const transport = simClientTransport(network, this.#process, nodeAt);
    this.#connections = config.cluster.nodes.map((node) => transport.connect(`${node.host}:${node.port}`));
    const perSecond = 2 * config.rate;
    this.#workload = repeatedly(this.#process, { random: this.#random, perSecond }, () => this.#act());
  }

  stop(): void {
    this.#workload.stop();
    this.#process.resume();
  }

  #act(): void {
    const random = this.#random;
    const name = random.pick(NAMES);
    const luck = random.next();
    if (luck < 0.03) this.#stall();
    else if (luck < 0.3) void this.#read(name, random.pick(this.#connections));
    else if (this.#busy.has(name)) return;
    else if (this.#owned.has(name)) void this.#write(name, this.#owned.get(name)!);
    else if (luck < 0.5) void this.#acquire(name, random.pick(this.#connections));
  }

  /** Long enough for others to take over; what it was about to do, it then does as a zombie. */
  #stall(): void {
    const { time, trace } = this.#parts;
    trace.note(`${this.#name} stalls`);
    this.#process.pause();
    time.after(this.#random.between(50, 4_000), () => this.#process.resume());
  }

  /**
   * After the faults: every node serves a read and an acquisition of every register, which also show whether
   * what was confirmed last is still there. Gives what it could not, in words.
   */
  async last(): Promise<string[]> {
    const failed: string[] = [];
    const insist = async (what: string, call: () => Promise<RegisterOperation>) => {
      // Messages that were sent before the healing may hold up what comes after them for some seconds, and a node
      // may still have to hear from the others that they live.
      for (let attempt = 0; attempt < LAST_ATTEMPTS; attempt++) {
        if ((await call()).outcome === 'done') return;
        await sleep(this.#process, LAST_PAUSE_MS);
      }
      failed.push(what);
    };
    for (const name of NAMES) {
      for (const node of this.#connections) {
        await insist(`read of ${name} through ${node.address}`, () => this.#read(name, node));
        await insist(`acquisition of ${name} through ${node.address}`, () => this.#acquire(name, node));
      }
    }
    return failed;
  }

  async #acquire(name: string, node: NodeConnection): Promise<RegisterOperation> {
    const operation = this.#begin('acquire', name);
    await this.#alone(name, async () => {
      await this.#end(operation, async () => {
        const record = await node.acquireRegister(name, { timeoutMs: CALL_TIMEOUT_MS });
        this.#owned.set(name, record);
        return record;
      });
    });
    return operation;
  }

  async #write(name: string, held: RegisterRecord): Promise<void> {
    await this.#alone(name, async () => {
      const value = Buffer.from(`${this.#name}/${++this.#written}`);
      const record = { ...held, write: held.write + 1, value };
      this.#owned.set(name, record);
      const operation = this.#begin('write', name, record);
      // Now and then through two nodes at once, as a retry does whose first attempt was not lost.
      const again = this.#random.chance(0.2);
      const send = () =>
        this.#random.pick(this.#connections).writeRegister(name, record, { timeoutMs: CALL_TIMEOUT_MS });
      await this.#end(operation, async () => {
        if (again) send().catch(() => undefined);
        await send();
        return record;
      });
      if (operation.outcome === 'fenced') this.#owned.delete(name);
    });
  }

  async #read(name: string, node: NodeConnection): Promise<RegisterOperation> {
    const operation = this.#begin('read', name);
    await this.#end(operation, () => node.readRegister(name, { timeoutMs: CALL_TIMEOUT_MS }));
    return operation;
  }

  async #alone(name: string, act: () => Promise<void>): Promise<void> {
    this.#busy.add(name);
    await act();
    this.#busy.delete(name);
  }

  #begin(kind: RegisterOperation['kind'], name: string, record?: RegisterRecord): RegisterOperation {
    const { history } = this.#parts;
    const { began } = history.began();
    const operation: RegisterOperation = {
      client: this.#name,
      kind,
      name,
      began,
      ended: undefined,
      outcome: 'waiting',
      ...(record && { record }),
    };
    history.registers.push(operation);
    return operation;
  }

  async #end(operation: RegisterOperation, call: () => Promise<RegisterRecord | undefined>): Promise<void> {
    const { history, trace } = this.#parts;
    try {
      const record = await call();
      if (record !== undefined) operation.record = record;
      operation.outcome = 'done';
    } catch (error) {
      operation.outcome = asTallyringError(error).code === 'FENCED' ? 'fenced' : 'failed';
    }
    operation.ended = history.next();
    const { client, kind, name, outcome, record } = operation;
    const told = record === undefined ? '' : ` ${record.epoch}.${record.write} ${record.value ?? ''}`;
    trace.note(`${client}: ${kind} ${name}${told}: ${outcome}`);
  }
}
