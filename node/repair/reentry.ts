import { asTallyringError } from '../../proto/errors.js';
import type { ReplyBody } from '../../proto/peer-message.js';
import { decodeRegister, encodeRegister, registerKey } from '../../proto/register.js';
import type { NodeContext } from '../quorum/context.js';
import type { RegisterMemory } from '../quorum/register-memory.js';

/** Registers of one request at most; fewer where their records would not fit into one answer. */
const PAGE = 500;
/** What an answer's record may have beside its value: the stores that it names, and its fields. */
const RECORD_OVERHEAD_BYTES = 4 * 1024;
const REQUEST_MS = 5_000;
/** Attempts in a row to find a number that nobody took; then the caller waits and begins anew. */
const MAX_ROUNDS = 10;

/** What one other replica knows of the registers that it shares with this node. */
interface Listed {
  promised: Map<string, number>;
  /** The newest store of this node that it knows. */
  storeNumber: number;
}

/**
 * A replica that lost its store must not vote in registers from a blank memory (DESIGN §10): its former
 * promises are forgotten, and owners count them. So, under its new store, at enough of the other replicas: they
 * note the store, promise an epoch above all of theirs, which fences every owner, and hand over their records.
 */
export class Reentry {
  readonly #context: NodeContext;
  readonly #memory: RegisterMemory;

  constructor(context: NodeContext, memory: RegisterMemory) {
    this.#context = context;
    this.#memory = memory;
  }

  /**
   * One attempt with these nodes. `enough` says whether a set of nodes will do. Resolves with true when enough of
   * them noted this store and refuse all epochs below these; what they handed over is durable here then, and so
   * are the number of this store and its own promises.
   */
  async run(others: readonly string[], enough: (noted: ReadonlySet<string>) => boolean): Promise<boolean> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const listed = await this.#listAll(others);
      if (!enough(new Set(listed.keys()))) return false;
      const number = this.#numberAbove(listed);
      const epochs = this.#epochsAbove(listed);
      const noted = new Set<string>();
      let isFree = true;
      for (const nodeId of listed.keys()) {
        const raised = await this.#raiseAt(nodeId, number, epochs);
        if (raised === 'raised') noted.add(nodeId);
        else if (raised === 'overtaken') isFree = false;
      }
      if (!isFree) continue; // under a greater number, all of them again
      if (!enough(noted)) return false;
      await this.#keep(number, epochs);
      return true;
    }
    return false;
  }

  /**
   * Greater than every store of this node that may have had a vote: N − Q + 1 noted that one's number, and one of
   * them is asked now. But those may have lost their stores since, and with them what they knew of ours; and an
   * attempt that came to nothing may have left a number at fewer, none of them asked now, which would refuse
   * every owner that counts on this store, for ever. So a number is at least the time: one that was given later
   * is greater.
   */
  #numberAbove(listed: ReadonlyMap<string, Listed>): number {
    const known = [...listed.values()].map(({ storeNumber }) => storeNumber);
    return Math.max(1 + Math.max(this.#memory.number, ...known), this.#context.clock.wallMs());
  }

  #epochsAbove(listed: ReadonlyMap<string, Listed>): Map<string, number> {
    const epochs = new Map<string, number>();
    for (const { promised } of listed.values()) {
      for (const [name, epoch] of promised) {
        epochs.set(name, Math.max(epoch + 1, epochs.get(name) ?? this.#memory.promisedOf(name) + 1));
      }
    }
    return epochs;
  }

  async #listAll(others: readonly string[]): Promise<Map<string, Listed>> {
    const listed = new Map<string, Listed>();
    for (const nodeId of others) {
      try {
        listed.set(nodeId, await this.#listOf(nodeId));
      } catch (error) {
        this.#tell(nodeId, error);
      }
    }
    return listed;
  }

  async #listOf(nodeId: string): Promise<Listed> {
    const { peers, ring } = this.#context;
    const listed: Listed = { promised: new Map(), storeNumber: 1 };
    let after: string | undefined;
    for (;;) {
      const body = { epoch: ring().epoch, limit: PAGE, ...(after !== undefined && { after }) };
      const reply = await peers.request(nodeId, 'registerList', body, REQUEST_MS);
      for (const [i, name] of reply.names.entries()) listed.promised.set(name, reply.promised[i] ?? 0);
      listed.storeNumber = reply.storeNumber;
      after = reply.names.at(-1);
      if (!reply.more || after === undefined) return listed;
    }
  }

  /**
   * `overtaken`: another store of this node was met. A replica that promised a higher epoch meanwhile is as good
   * as one that promises ours: what is to be refused there are owners from the time of the former store, and
   * all their epochs were listed. Else one owner that acquires again as soon as it is fenced could keep a
   * re-entry from ever getting through.
   */
  async #raiseAt(
    nodeId: string,
    number: number,
    epochs: ReadonlyMap<string, number>,
  ): Promise<'raised' | 'overtaken' | 'silent'> {
    const { limits, replicates } = this.#context;
    const shared = [...epochs].filter(([name]) => replicates(registerKey(name), nodeId));
    const fitting = Math.floor(limits.maxBatchBytes / (limits.maxRegisterBytes + RECORD_OVERHEAD_BYTES));
    const size = Math.max(1, Math.min(PAGE, fitting));
    try {
      for (let at = 0; at === 0 || at < shared.length; at += size) {
        const some = shared.slice(at, at + size);
        const { takenNumber, answers } = await this.#ask(nodeId, number, some);
        if (takenNumber !== undefined) return 'overtaken';
        await this.#take(some, answers);
      }
      return 'raised';
    } catch (error) {
      this.#tell(nodeId, error);
      return 'silent';
    }
  }

  #ask(nodeId: string, storeNumber: number, some: [string, number][]): Promise<ReplyBody<'registerReenter'>> {
    const { peers, ring, replica } = this.#context;
    const body = {
      epoch: ring().epoch,
      storeId: replica.store.storeId,
      storeNumber,
      names: some.map(([name]) => name),
      epochs: some.map(([, epoch]) => epoch),
    };
    return peers.request(nodeId, 'registerReenter', body, REQUEST_MS);
  }

  /** The records that were handed over: the newest of each stays. */
  async #take(some: [string, number][], answers: ReplyBody<'registerReenter'>['answers']): Promise<void> {
    const entries = some.flatMap(([name], i) => {
      const record = answers[i]?.record;
      return record === undefined ? [] : [encodeRegister(name, decodeRegister(record))];
    });
    if (entries.length > 0) await this.#context.replica.store.merge(entries, { sync: true });
  }

  async #keep(number: number, epochs: ReadonlyMap<string, number>): Promise<void> {
    const { store } = this.#context.replica;
    const writes = this.#memory.reentered({ storeId: store.storeId, number }, epochs);
    await store.local.write(writes, { sync: true });
    const registers = epochs.size;
    this.#context.logger.info({ storeNumber: number, registers }, 're-entered under a new store');
  }

  #tell(nodeId: string, error: unknown): void {
    const { code, message } = asTallyringError(error);
    this.#context.logger.debug({ nodeId, code }, `did not take part in the re-entry: ${message}`);
  }
}
