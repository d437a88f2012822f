import { asTallyringError } from '../../proto/errors.js';
import type { ReplyBody } from '../../proto/peer-message.js';
import { decodeRegister, encodeRegister, registerKey } from '../../proto/register.js';
import type { NodeContext } from '../quorum/context.js';
import type { RegisterMemory } from '../quorum/register-memory.js';

const PAGE = 500;
const REQUEST_MS = 5_000;
/** Attempts to promise above everybody in a row; then the caller waits and begins anew. */
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
   * them noted this store and all promised the same epochs; what they handed over is durable here then, and so
   * are the number of this store and its own promises.
   */
  async run(others: readonly string[], enough: (noted: ReadonlySet<string>) => boolean): Promise<boolean> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const listed = await this.#listAll(others);
      if (!enough(new Set(listed.keys()))) return false;
      const number = 1 + Math.max(this.#memory.number, ...[...listed.values()].map((one) => one.storeNumber));
      const epochs = this.#epochsAbove(listed);
      const noted = new Set<string>();
      let above = true;
      for (const nodeId of listed.keys()) {
        const raised = await this.#raiseAt(nodeId, number, epochs);
        if (raised === 'raised') noted.add(nodeId);
        else if (raised === 'overtaken') above = false;
      }
      if (!above) continue; // somebody promised more meanwhile: all of them again, above that
      if (!enough(noted)) return false;
      await this.#keep(number, epochs);
      return true;
    }
    return false;
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

  /** `overtaken`: a higher epoch, or another store of this node, was met. */
  async #raiseAt(
    nodeId: string,
    number: number,
    epochs: ReadonlyMap<string, number>,
  ): Promise<'raised' | 'overtaken' | 'silent'> {
    const shared = [...epochs].filter(([name]) => this.#context.replicates(registerKey(name), nodeId));
    try {
      for (let at = 0; at === 0 || at < shared.length; at += PAGE) {
        const { takenNumber, answers } = await this.#ask(nodeId, number, shared.slice(at, at + PAGE));
        if (takenNumber !== undefined || answers.some((answer) => !answer.agreed)) return 'overtaken';
        await this.#take(shared.slice(at, at + PAGE), answers);
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
