import { sleep } from '../../ports/clock.js';
import { type Random, randomBelow } from '../../ports/random.js';
import { tokenOf } from '../../proto/entry.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { PeerKind, ReplyBody, RequestBody } from '../../proto/peer-message.js';
import { decodeRegister, encodeRegister, type RegisterRecord } from '../../proto/register.js';
import { canMeet, type Requirement, requiredOf, requirementOf } from './consistency.js';
import type { NodeContext } from './context.js';
import { withDatacenter } from './placement.js';
import { highestOf, newestOf, type RegisterAnswer, readVerdict, takenOver } from './register.js';
import type { RegisterReplica } from './register-replica.js';
import { Tally, type TallyReplica } from './tally.js';
import { unavailable } from './writes.js';

/** Two candidates that hinder each other wait a random time, up to twice as long at each attempt. */
const FIRST_BACKOFF_MS = 10;
const LONGEST_BACKOFF_MS = 500;
/** How far above the highest epoch seen a candidate goes at most. */
const EPOCH_STRIDE = 3;
/** A reader leaves a candidate alone for so many attempts before it takes its place. */
const PATIENT_READS = 4;

/** One step of the protocol, as it is asked of a replica. */
interface Ask<K extends PeerKind> {
  kind: K;
  body: Omit<RequestBody<K>, 'epoch'>;
  own(replica: RegisterReplica): Promise<RegisterAnswer>;
}

type AskKind = 'registerLook' | 'registerPromise' | 'registerAccept';

/** The coordinator's side of registers: stateless, so any node serves any owner. */
export class Registers {
  readonly #context: NodeContext;
  readonly #replica: RegisterReplica;
  readonly #random: Random;
  readonly #requirement: Requirement;

  constructor(context: NodeContext, replica: RegisterReplica, random: Random) {
    this.#context = context;
    this.#replica = replica;
    this.#random = random;
    this.#requirement = requirementOf('QUORUM', context.ring().replication, context.datacenter);
  }

  /**
   * Makes the caller the owner: every earlier one is fenced from now on. Resolves with the record that it took
   * over, written back under its epoch. Rejects UNAVAILABLE, or WRITE_TIMEOUT (a later epoch may be promised).
   */
  async acquire(name: string, timeoutMs: number): Promise<RegisterRecord> {
    const deadlineMs = this.#deadline(timeoutMs);
    let highest = 0;
    for (let attempt = 0; ; attempt++) {
      const look = await this.#ask(name, deadlineMs, lookAt(name));
      highest = Math.max(highest, highestOf(look.answers));
      if (look.met) {
        const epoch = highest + 1 + randomBelow(this.#random, EPOCH_STRIDE);
        const { answers, met } = await this.#ask(name, deadlineMs, promiseOf(name, epoch));
        highest = Math.max(highest, highestOf(answers));
        const promises = answers.filter((answer) => answer.agreed);
        if (met && (newestOf(promises)?.epoch ?? 0) < epoch) {
          const record = takenOver(epoch, promises);
          if ((await this.#accept(name, record, deadlineMs)) === 'held') return record;
        }
      }
      await this.#backOff(attempt, deadlineMs, () => timedOut(`register ${name} was not acquired`));
    }
  }

  /**
   * Writes an owner's next record. Resolves once a quorum holds it durably. Rejects FENCED when the caller is
   * owner no more, WRITE_TIMEOUT, both of which may have applied it; UNAVAILABLE when nothing was sent.
   */
  async write(name: string, record: RegisterRecord, timeoutMs: number): Promise<void> {
    const { maxRegisterBytes } = this.#context.limits;
    if ((record.value?.length ?? 0) > maxRegisterBytes) {
      throw new TallyringError(
        'INVALID_ARGUMENT',
        `a register's value has at most ${maxRegisterBytes} bytes`,
      );
    }
    const outcome = await this.#accept(name, record, this.#deadline(timeoutMs));
    if (outcome === 'held') return;
    if (outcome === 'unknown') throw timedOut(`a quorum did not confirm write ${record.write} of ${name}`);
    throw new TallyringError(
      'FENCED',
      `epoch ${record.epoch} of register ${name} is over: acquire it again, and look at what it holds then`,
      { mayHaveApplied: true },
    );
  }

  /** The newest record that a quorum holds; what a read saw, every later read sees too. `undefined`: never written. */
  async read(name: string, timeoutMs: number): Promise<RegisterRecord | undefined> {
    const deadlineMs = this.#deadline(timeoutMs);
    for (let attempt = 0; ; attempt++) {
      const { answers, met } = await this.#ask(name, deadlineMs, lookAt(name));
      const newest = newestOf(answers);
      const verdict = met ? readVerdict(answers, requiredOf(this.#requirement)) : 'unsettled';
      if (met && verdict === 'settled') return newest;
      if (met && newest !== undefined) {
        if ((await this.#accept(name, newest, deadlineMs)) === 'held') return newest;
        // Its owner is fenced by a candidate that did not get through: taking over disturbs nobody.
        if (verdict === 'contested' && attempt >= PATIENT_READS) {
          return this.acquire(name, deadlineMs - this.#context.clock.monotonicMs());
        }
      }
      await this.#backOff(attempt, deadlineMs, () =>
        timedOut(`a quorum did not agree on register ${name}`, 'READ_TIMEOUT'),
      );
    }
  }

  #deadline(timeoutMs: number): number {
    const { clock, limits } = this.#context;
    return clock.monotonicMs() + Math.min(timeoutMs, limits.maxRequestMs);
  }

  async #backOff(attempt: number, deadlineMs: number, late: () => TallyringError): Promise<void> {
    const { timers, clock } = this.#context;
    const mostMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt);
    const waitMs = (0.5 + this.#random.next()) * mostMs;
    if (clock.monotonicMs() + waitMs >= deadlineMs) throw late();
    await sleep(timers, waitMs);
  }

  /** One refusal is enough: a higher epoch was promised, or a store that counted is gone. */
  async #accept(
    name: string,
    record: RegisterRecord,
    deadlineMs: number,
  ): Promise<'held' | 'fenced' | 'unknown'> {
    const { answers, met } = await this.#ask(name, deadlineMs, acceptOf(name, record));
    if (met) return 'held';
    return answers.some((answer) => !answer.agreed) ? 'fenced' : 'unknown';
  }

  /** Asks all live replicas; resolves when a quorum agreed, or cannot any more, or at the deadline. */
  #ask<K extends AskKind>(
    name: string,
    deadlineMs: number,
    ask: Ask<K>,
  ): Promise<{ answers: RegisterAnswer[]; met: boolean }> {
    const { membership, clock, timers } = this.#context;
    const ring = this.#context.ring();
    const replicas = withDatacenter(ring, ring.replicasOf(tokenOf(name)).nodeIds);
    const live = replicas.filter(({ nodeId }) => membership.isLive(nodeId));
    if (
      !canMeet(
        this.#requirement,
        live.map(({ datacenter }) => datacenter),
      )
    ) {
      return Promise.reject(unavailable(this.#requirement, live));
    }
    const tally = new Tally(this.#requirement, live, deadlineMs);
    const answers: RegisterAnswer[] = [];
    const timeoutMs = deadlineMs - clock.monotonicMs();
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        resolve({ answers: [...answers], met: tally.verdict === 'met' });
      };
      const timer = timers.after(Math.max(0, timeoutMs), finish);
      for (const replica of live) {
        this.#askOne(replica, ask, { epoch: ring.epoch, timeoutMs }).then(
          (answer) => {
            const nowMs = clock.monotonicMs();
            // An answer that the tally does not count is not looked at either: nothing rests on it.
            if (nowMs > deadlineMs) return;
            answers.push(answer);
            if (tally.answer(replica.nodeId, answer.agreed, nowMs) !== 'pending') finish();
          },
          (error: unknown) => {
            this.#context.logger.debug(
              { nodeId: replica.nodeId },
              `replica did not answer ${ask.kind}: ${asTallyringError(error).message}`,
            );
            if (tally.answer(replica.nodeId, false, clock.monotonicMs()) !== 'pending') finish();
          },
        );
      }
    });
  }

  async #askOne<K extends AskKind>(
    { nodeId }: TallyReplica,
    ask: Ask<K>,
    { epoch, timeoutMs }: { epoch: number; timeoutMs: number },
  ): Promise<RegisterAnswer> {
    if (nodeId === this.#context.nodeId) return ask.own(this.#replica);
    const body = { ...ask.body, epoch } as RequestBody<K>;
    const reply = await this.#context.peers.request(nodeId, ask.kind, body, timeoutMs);
    return unpackAnswer(nodeId, reply as ReplyBody<AskKind>);
  }
}

function lookAt(name: string): Ask<'registerLook'> {
  return { kind: 'registerLook', body: { name }, own: (replica) => replica.look(name) };
}

function promiseOf(name: string, registerEpoch: number): Ask<'registerPromise'> {
  const own = (replica: RegisterReplica) => replica.promise(name, registerEpoch);
  return { kind: 'registerPromise', body: { name, registerEpoch }, own };
}

function acceptOf(name: string, record: RegisterRecord): Ask<'registerAccept'> {
  const own = (replica: RegisterReplica) => replica.accept(name, record);
  return { kind: 'registerAccept', body: { name, record: encodeRegister(name, record).value }, own };
}

function timedOut(what: string, code: 'WRITE_TIMEOUT' | 'READ_TIMEOUT' = 'WRITE_TIMEOUT'): TallyringError {
  return new TallyringError(code, `${what} before the deadline`);
}

/** The wire form of an answer, and back; throws INVALID_ARGUMENT for a record that is none. */
export function packAnswer(name: string, answer: RegisterAnswer): ReplyBody<AskKind> {
  const { agreed, promised, storeNumber, record } = answer;
  return {
    agreed,
    promised,
    storeNumber,
    ...(record && { record: encodeRegister(name, record).value }),
  };
}

export function unpackAnswer(nodeId: string, reply: ReplyBody<AskKind>): RegisterAnswer {
  const { agreed, promised, storeNumber, record } = reply;
  return { nodeId, agreed, promised, storeNumber, record: record && decodeRegister(record) };
}
