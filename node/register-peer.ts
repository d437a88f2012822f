import { tokenOf } from '../proto/entry.js';
import { TallyringError } from '../proto/errors.js';
import type { PeerRequest, ReplyBody, RequestBody } from '../proto/peer-message.js';
import { decodeRegister, registerKey } from '../proto/register.js';
import type { NodeContext } from './quorum/context.js';
import type { RegisterReplica } from './quorum/register-replica.js';
import { packAnswer } from './quorum/registers.js';

const LARGEST_PAGE = 1_000;

type RegisterRequest = Extract<PeerRequest, { kind: `register${string}` }>;

/** Answers what other nodes ask of this one's registers. */
export class RegisterPeer {
  readonly #context: NodeContext;
  readonly #replica: RegisterReplica;

  constructor(context: NodeContext, replica: RegisterReplica) {
    this.#context = context;
    this.#replica = replica;
  }

  async answer(from: string, request: RegisterRequest): Promise<object> {
    if (request.kind === 'registerList') return this.#list(from, request.body);
    if (request.kind === 'registerReenter') return this.#reenter(from, request.body);
    const { name } = request.body;
    this.#refuseStrangers(name);
    switch (request.kind) {
      case 'registerLook':
        return packAnswer(name, await this.#replica.look(name));
      case 'registerPromise':
        return packAnswer(name, await this.#replica.promise(name, request.body.registerEpoch));
      case 'registerAccept':
        return packAnswer(name, await this.#replica.accept(name, decodeRegister(request.body.record)));
    }
  }

  /** A node votes in the registers that it replicates, and in no others. */
  #refuseStrangers(name: string): void {
    const { ring, nodeId } = this.#context;
    if (ring().replicasOf(tokenOf(name)).nodeIds.includes(nodeId)) return;
    throw new TallyringError('FAILED_PRECONDITION', `${nodeId} is no replica of register ${name}`);
  }

  #list(from: string, { after, limit }: RequestBody<'registerList'>): ReplyBody<'registerList'> {
    if (!this.#context.replica.whole) throw recovering();
    const { memory } = this.#replica;
    const shared = memory
      .names()
      .filter((name) => (after === undefined || name > after) && this.#isShared(name, from));
    const names = shared.slice(0, Math.min(Math.max(1, limit), LARGEST_PAGE));
    return {
      names,
      promised: names.map((name) => memory.promisedOf(name)),
      storeNumber: memory.numberOf(from),
      more: names.length < shared.length,
    };
  }

  #isShared(name: string, other: string): boolean {
    return this.#context.replicates(registerKey(name), other);
  }

  async #reenter(
    from: string,
    { storeId, storeNumber, names, epochs }: RequestBody<'registerReenter'>,
  ): Promise<ReplyBody<'registerReenter'>> {
    if (!this.#context.replica.whole) throw recovering();
    if (names.length !== epochs.length) {
      throw new TallyringError('INVALID_ARGUMENT', 'a re-entry has one epoch for each name');
    }
    for (const name of names) this.#refuseStrangers(name);
    const { memory } = this.#replica;
    const known = memory.numberOf(from);
    if (storeNumber < known || (storeNumber === known && memory.storeOf(from)?.storeId !== storeId)) {
      return { takenNumber: known, answers: [] };
    }
    const epochsOf = names.map((name, i): [string, number] => [name, epochs[i]!]);
    const answers = await this.#replica.raise({ nodeId: from, storeId, number: storeNumber }, epochsOf);
    return { answers: answers.map((answer, i) => packAnswer(names[i]!, answer)) };
  }
}

function recovering(): TallyringError {
  return new TallyringError('NOT_WHOLE', 'this node is recovering itself: it has no vote');
}
