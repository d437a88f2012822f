import { describe, expect, it } from 'vitest';
import { Scrub } from '../../../node/repair/scrub.js';
import { ShardCensus } from '../../../node/repair/shard-census.js';
import { sleep } from '../../../ports/clock.js';
import { asTallyringError } from '../../../proto/errors.js';
import { type RegisterRecord, registerKey } from '../../../proto/register.js';
import { checkRegisters } from '../../simulation/checkers/registers.js';
import type { RegisterOperation } from '../../simulation/register-owners.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { exchange, recovering, registersOf, replicas } from './register-world.js';
import { type Fate, World } from './world.js';

const NAMES = ['checkpoint', 'ring'];
const MAX_REQUEST_MS = 300;
const FAULTY_MS = 12_000;
/** After the faults a register can be read and acquired within this. */
const LIVELY_MS = 30_000;

/**
 * DESIGN §10's model, but of our own code: owners, zombies, readers and replicas that lose their stores, over a
 * network that loses, delays, repeats and reorders, while anti-entropy carries records past promises.
 */
class Schedule {
  readonly operations: RegisterOperation[] = [];
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #ids: string[];
  #faulty = true;
  #order = 0;
  #written = 0;
  #recovering = 0;

  static async run(seed: number): Promise<Schedule> {
    const random = new SeededRandom(seed);
    const [nodes, copies] = random.pick([
      [2, 2],
      [3, 3],
      [3, 3],
      [4, 4],
      [5, 5],
      [4, 3],
      [5, 3],
    ] as const);
    const { nodes: named } = replicas(nodes);
    const limits = { maxRequestMs: MAX_REQUEST_MS };
    const world = await World.open({ nodes: named, replication: { dc1: copies }, limits });
    const schedule = new Schedule(world, random);
    await schedule.#run();
    return schedule;
  }

  private constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
    this.#ids = Object.keys(world.nodes);
    const loss = random.pick([0, 0.05, 0.15]);
    const slowest = random.pick([3, 40, 400]);
    world.fate = (): Fate => {
      if (!this.#faulty) return {};
      if (random.chance(loss)) return random.pick(['silent', 'refused'] as const);
      return {
        delayMs: random.between(0, random.chance(0.2) ? slowest : 3),
        answerMs: random.between(0, random.chance(0.2) ? slowest : 3),
        unheard: random.chance(loss),
        ...(random.chance(0.1) && { againMs: random.between(0, 1_000) }),
      };
    };
    for (const id of this.#ids) this.#slowDisk(id);
  }

  #slowDisk(id: string): void {
    this.#world.node(id).disk.syncMs = () => this.#random.between(0.1, 4);
  }

  async #run(): Promise<void> {
    const { time } = this.#world;
    const actors: Promise<void>[] = [];
    for (let i = 1; i <= 3; i++) actors.push(this.#owner(`owner-${i}`));
    for (let i = 1; i <= 2; i++) actors.push(this.#reader(`reader-${i}`));
    actors.push(this.#carrier(), this.#wiper());
    await time.run(FAULTY_MS);
    this.#faulty = false;
    await time.settle(Promise.all(actors), LIVELY_MS);
    await time.settle(this.#last(), LIVELY_MS);
  }

  /** After the healing: every node serves a read and an owner. */
  async #last(): Promise<void> {
    while (this.#recovering > 0) await this.#pause(100);
    for (const name of NAMES) {
      for (const id of this.#ids) {
        expect(await this.#read('last', name, id)).toBe('done');
        expect(await this.#acquire('last', name, id)).toBeDefined();
      }
    }
  }

  #pause(mostMs: number): Promise<void> {
    return sleep(this.#world.time, this.#random.between(0, mostMs));
  }

  async #owner(client: string): Promise<void> {
    const patience = this.#random.pick([20, 300, 2_000]);
    while (this.#faulty) {
      await this.#pause(patience);
      const name = this.#random.pick(NAMES);
      let record = await this.#acquire(client, name, this.#random.pick(this.#ids));
      while (record !== undefined && this.#faulty && this.#random.chance(0.9)) {
        await this.#pause(this.#random.chance(0.1) ? 3_000 : 30); // a zombie now and then
        record = await this.#write(client, name, record);
      }
    }
  }

  async #reader(client: string): Promise<void> {
    while (this.#faulty) {
      await this.#pause(100);
      await this.#read(client, this.#random.pick(NAMES), this.#random.pick(this.#ids));
    }
  }

  /** Anti-entropy between two nodes. */
  async #carrier(): Promise<void> {
    while (this.#faulty) {
      await this.#pause(200);
      const [from, to] = [this.#random.pick(this.#ids), this.#random.pick(this.#ids)];
      if (from === to) continue;
      const carried = exchange(this.#world, from, to).catch(() => undefined);
      await Promise.race([carried, this.#pause(1_000)]); // a process that is replaced never ends it
    }
  }

  /** One node at a time loses its store, some while they come back, or a record of it. */
  async #wiper(): Promise<void> {
    const everyMs = this.#random.pick([300, 3_000, 1e9]);
    while (this.#faulty) {
      await this.#pause(Math.min(everyMs, FAULTY_MS));
      if (everyMs === 1e9 || !this.#faulty) continue;
      const id = this.#random.pick(this.#ids);
      this.#recovering++;
      if (this.#random.chance(0.4)) await this.#damage(id);
      else await this.#wipe(id);
      this.#recovering--;
    }
  }

  async #wipe(id: string): Promise<void> {
    for (;;) {
      const node = await this.#world.restart(id);
      this.#slowDisk(id);
      const { recovery, done } = recovering(node);
      if (!this.#faulty || this.#random.chance(0.6)) return done;
      await Promise.race([done, this.#pause(MAX_REQUEST_MS + 60)]);
      recovery.stop(); // lost again, in the middle
    }
  }

  /** A bit of a record flips; the scrub merges it back. */
  async #damage(id: string): Promise<void> {
    const { context, disk, opened } = this.#world.node(id);
    const key = registerKey(this.#random.pick(NAMES));
    if (!disk.flipBit(key)) return;
    const scrub = new Scrub(context, { census: new ShardCensus(10), refreshLeaf: opened.refreshLeaf });
    scrub.start();
    do await this.#pause(100);
    while ((await opened.store.get([key]))[0] === undefined || opened.store.damagedRows().length > 0);
    scrub.stop();
  }

  async #acquire(client: string, name: string, id: string): Promise<RegisterRecord | undefined> {
    const operation = this.#begin('acquire', client, name);
    await this.#end(operation, () => registersOf(this.#world, id).acquire(name, MAX_REQUEST_MS));
    return operation.outcome === 'done' ? operation.record : undefined;
  }

  async #write(client: string, name: string, held: RegisterRecord): Promise<RegisterRecord | undefined> {
    const value = Buffer.from(`${client}/${++this.#written}`);
    const record = { ...held, write: held.write + 1, value };
    const operation = this.#begin('write', client, name, record);
    const send = () =>
      registersOf(this.#world, this.#random.pick(this.#ids)).write(name, record, MAX_REQUEST_MS);
    await this.#end(operation, async () => {
      if (this.#random.chance(0.2)) send().catch(() => undefined); // a retry whose first attempt lives on
      await send();
      return record;
    });
    return operation.outcome === 'fenced' ? undefined : record;
  }

  async #read(client: string, name: string, id: string): Promise<string> {
    const operation = this.#begin('read', client, name);
    await this.#end(operation, () => registersOf(this.#world, id).read(name, MAX_REQUEST_MS));
    return operation.outcome;
  }

  #begin(
    kind: RegisterOperation['kind'],
    client: string,
    name: string,
    record?: RegisterRecord,
  ): RegisterOperation {
    const operation: RegisterOperation = {
      client,
      kind,
      name,
      began: this.#order++,
      ended: undefined,
      outcome: 'waiting',
      ...(record && { record }),
    };
    this.operations.push(operation);
    return operation;
  }

  async #end(operation: RegisterOperation, call: () => Promise<RegisterRecord | undefined>): Promise<void> {
    try {
      const record = await call();
      if (record !== undefined) operation.record = record;
      operation.outcome = 'done';
    } catch (error) {
      operation.outcome = asTallyringError(error).code === 'FENCED' ? 'fenced' : 'failed';
    }
    operation.ended = this.#order++;
  }
}

const FIRST = Number(process.env.FIRST_SCHEDULE ?? 1);
const SCHEDULES = Number(process.env.SCHEDULES ?? 25);

describe('random schedules of registers', () => {
  it('none is wrong, and after the faults every node serves', async () => {
    let writes = 0;
    for (let seed = FIRST; seed < FIRST + SCHEDULES; seed++) {
      let operations: RegisterOperation[];
      try {
        ({ operations } = await Schedule.run(seed));
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      expect(checkRegisters(operations), `seed ${seed}`).toEqual([]);
      writes += operations.filter(({ kind, outcome }) => kind === 'write' && outcome === 'done').length;
    }
    expect(writes).toBeGreaterThan(SCHEDULES);
  }, 600_000);
});
