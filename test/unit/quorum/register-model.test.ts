import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  highestOf,
  isSettled,
  mayAccept,
  mayPromise,
  newestOf,
  promisedBy,
  type RegisterAnswer,
  type RegisterState,
  takenOver,
} from '../../../node/quorum/register.js';
import { isNewer, type RegisterRecord } from '../../../proto/register.js';
import { checkRegisters } from '../../simulation/checkers/registers.js';
import type { RegisterOperation } from '../../simulation/register-owners.js';
import { SeededRandom } from '../../simulation/seeded-random.js';

/**
 * The pure rules in any order of any messages: candidates, owners, readers, replicas whose stores get lost,
 * records carried past promises. The twin is the checker: it knows what was confirmed, and nothing of promises.
 */
const STEPS = ['promise', 'takeOver', 'accept', 'accept', 'write', 'again', 'carry', 'look', 'wipe'] as const;
type Step = [what: (typeof STEPS)[number], who: number, replica: number, other: number];

/** Long runs, of which shorter ones would show little: a seed each. */
function* stepsOf(seed: number, count: number): Generator<Step> {
  const random = new SeededRandom(seed);
  // Some replicas are slow to hear anything: else every message reaches all of them.
  const shy = random.below(count);
  for (let i = 0; i < 300; i++) {
    const what = random.pick(STEPS);
    const rare = { wipe: 0.1, again: 0.3 }[what as string] ?? 1;
    const at = random.below(count);
    if (!random.chance(rare) || (at === shy && random.chance(0.7))) continue;
    yield [what, random.below(3), at, random.below(count)];
  }
}

interface Replica extends RegisterState {
  nodeId: string;
  numbers: Map<string, number>;
}

interface Candidate {
  epoch: number;
  promises: Map<string, RegisterAnswer>;
  looks: Map<string, RegisterAnswer>;
  record: RegisterRecord | undefined;
  acks: Set<string>;
  operation: RegisterOperation | undefined;
}

class Model {
  readonly operations: RegisterOperation[] = [];
  readonly #replicas: Replica[];
  readonly #candidates: Candidate[];
  readonly #quorum: number;
  /** What is broken on purpose, to see that it is found. */
  readonly #broken: string;
  /** When each one's reading began. */
  readonly #began = new Map<Candidate, number>();
  #order = 0;

  constructor(count: number, broken = '') {
    this.#quorum = Math.floor(count / 2) + 1;
    this.#broken = broken;
    this.#replicas = Array.from({ length: count }, (_, i) => ({
      nodeId: `r${i}`,
      promised: 0,
      record: undefined,
      numbers: new Map(),
    }));
    this.#candidates = Array.from({ length: 3 }, () => this.#candidate(0));
  }

  #candidate(epoch: number): Candidate {
    const acks = new Set<string>();
    return { epoch, promises: new Map(), looks: new Map(), record: undefined, acks, operation: undefined };
  }

  step([what, who, at, other]: Step): void {
    const one = this.#candidates[who]!;
    const replica = this.#replicas[at % this.#replicas.length]!;
    const second = this.#replicas[other % this.#replicas.length]!;
    const acts: Record<(typeof STEPS)[number], () => void> = {
      promise: () => this.#promise(one, replica),
      takeOver: () => this.#takeOver(one),
      accept: () => this.#accept(one, replica),
      write: () => this.#write(one, who),
      again: () => this.#again(who),
      carry: () => this.#hold(second, replica.record),
      look: () => this.#look(one, replica),
      wipe: () => this.#wipe(replica, other),
    };
    acts[what]();
  }

  #answer(replica: Replica, agreed: boolean): RegisterAnswer {
    const { nodeId, record } = replica;
    return {
      nodeId,
      agreed,
      promised: promisedBy(replica),
      storeNumber: this.#numberOf(replica, nodeId),
      record,
    };
  }

  #numberOf(replica: Replica, nodeId: string): number {
    return replica.numbers.get(nodeId) ?? 1;
  }

  #hold(replica: Replica, record: RegisterRecord | undefined): void {
    if (record === undefined) return;
    if (replica.record === undefined || isNewer(record, replica.record)) replica.record = record;
  }

  #again(who: number): void {
    const answers = this.#replicas.map((replica) => this.#answer(replica, true));
    this.#candidates[who] = this.#candidate(highestOf(answers.slice(who)) + 1);
    this.#candidates[who]!.operation = this.#begin('acquire', who);
  }

  #promise(one: Candidate, replica: Replica): void {
    if (one.record !== undefined || one.epoch === 0 || !mayPromise(replica, one.epoch)) return;
    replica.promised = one.epoch;
    one.promises.set(replica.nodeId, this.#answer(replica, true));
  }

  #takeOver(one: Candidate): void {
    const promises = [...one.promises.values()];
    if (one.record !== undefined || promises.length < this.#quorum) return;
    one.record = takenOver(one.epoch, promises);
    one.operation!.record = one.record;
  }

  #accept(one: Candidate, replica: Replica): void {
    const { record } = one;
    if (record === undefined || one.operation === undefined) return;
    const numberOf = (nodeId: string) => this.#numberOf(replica, nodeId);
    const known = { self: replica.nodeId, numberOf };
    if (this.#broken !== 'fences nobody' && !mayAccept(replica, record, known)) return;
    this.#hold(replica, record);
    one.acks.add(replica.nodeId);
    if (one.acks.size >= this.#quorum) this.#end(one);
  }

  #write(one: Candidate, who: number): void {
    if (one.record === undefined || one.operation?.ended === undefined) return;
    const write = one.record.write + 1;
    one.record = { ...one.record, write, value: Buffer.from(`${one.epoch}.${write}`) };
    one.acks.clear();
    one.operation = { ...this.#begin('write', who), record: one.record };
    this.operations.splice(-1, 1, one.operation);
  }

  /** A read of what a quorum says, where it needs no write-back. */
  #look(one: Candidate, replica: Replica): void {
    if (one.looks.size === 0) this.#began.set(one, this.#order++);
    one.looks.set(replica.nodeId, this.#answer(replica, true));
    const answers = [...one.looks.values()];
    if (answers.length < this.#quorum) return;
    one.looks.clear();
    const reader = 10 + this.#candidates.indexOf(one);
    if (!isSettled(answers) && this.#broken !== 'believes anybody') return;
    const read = this.#begin('read', reader, this.#began.get(one));
    const record = newestOf(answers);
    if (record !== undefined) read.record = record;
    read.outcome = 'done';
    read.ended = this.#order++;
  }

  /** A store is lost; all that counted it is over; N − Q + 1 others note the new one, and promise above all. */
  #wipe(replica: Replica, other: number): void {
    for (const one of this.#candidates) {
      one.looks.clear();
      if (one.record === undefined) one.promises.clear();
      one.acks.clear();
    }
    replica.promised = 0;
    replica.record = undefined;
    replica.numbers = new Map();
    const count = this.#replicas.length;
    const others = this.#replicas.filter((one) => one !== replica);
    const asked = others
      .map((_, i) => others[(i + other) % others.length]!)
      .slice(0, count - this.#quorum + 1);
    const answers = asked.map((one) => this.#answer(one, true));
    const number = 1 + Math.max(...asked.map((one) => this.#numberOf(one, replica.nodeId)));
    const epoch = highestOf(answers) + 1;
    for (const one of this.#broken === 'votes at once' ? [] : [...asked, replica]) {
      one.numbers.set(replica.nodeId, number);
      one.promised = epoch;
      this.#hold(replica, one.record);
    }
  }

  #begin(kind: RegisterOperation['kind'], who: number, began = this.#order++): RegisterOperation {
    const client = `client-${who}`;
    const outcome = 'waiting';
    const operation: RegisterOperation = { client, kind, name: 'r', began, ended: undefined, outcome };
    this.operations.push(operation);
    return operation;
  }

  #end({ operation }: Candidate): void {
    if (operation!.ended !== undefined) return;
    operation!.outcome = 'done';
    operation!.ended = this.#order++;
  }
}

function wrong(seed: number, count: number, broken?: string): string[] {
  const model = new Model(count, broken);
  for (const step of stepsOf(seed, count)) model.step(step);
  const done = model.operations.filter(({ outcome }) => outcome === 'done').length;
  return done < 3
    ? []
    : checkRegisters(model.operations).map(({ check, detail }) => `${seed} ${check}: ${detail}`);
}

describe('the rules of registers, in any order', () => {
  it.each([2, 3, 4, 5, 7])('hold with %i replicas', { timeout: 60_000 }, (count) => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        expect(wrong(seed, count)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(['fences nobody', 'votes at once', 'believes anybody'])(
    'are found broken when one %s',
    { timeout: 60_000 },
    (broken) => {
      const seeds = Array.from({ length: 5_000 }, (_, seed) => seed);
      expect(seeds.some((seed) => wrong(seed, 3, broken).length > 0)).toBe(true);
    },
  );
});
