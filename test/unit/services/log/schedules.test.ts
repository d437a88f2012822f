import { describe, expect, it } from 'vitest';
import { MemoryDisk } from '../../../../node/storage/memory-disk.js';
import { silentLogger } from '../../../../ports/logger.js';
import { type Random, randomBelow } from '../../../../ports/random.js';
import { type LogCore, openLogCore } from '../../../../services/log/core.js';
import { createLog } from '../../../../services/log/opening.js';
import { configOf } from '../../../conformance/log/harness.js';
import { seededRandom } from '../../../conformance/storage/harness.js';
import { type VirtualClock, VirtualTime } from '../../../simulation/virtual-time.js';

const SEEDS = 60;
const PARTITIONS = 3;
const CALL = { timeoutMs: 60_000 };
const DESCRIPTION = { logId: 'simulated', partitions: PARTITIONS };

/** A log in virtual time that is killed time and again, with its writers and one reader for each partition. */
class World {
  readonly random: Random;
  readonly time: VirtualTime;
  readonly clock: VirtualClock;
  readonly disk: MemoryDisk;
  /** What was acknowledged or read, by partition and offset: it must stay so. */
  readonly known = Array.from({ length: PARTITIONS }, () => new Map<number, string>());
  readonly next = new Array<number>(PARTITIONS).fill(0);
  readonly released = new Array<number>(PARTITIONS).fill(0);
  readonly lastMs = new Array<number>(PARTITIONS).fill(0);
  acknowledged = 0;
  trimmed = 0;
  #names = 0;
  #life = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.time = new VirtualTime(this.random);
    this.clock = this.time.clock();
    this.disk = new MemoryDisk({ random: this.random, syncMs: () => this.random.next() * 5 });
  }

  async run(): Promise<void> {
    const first = this.disk.open(this.time);
    await this.time.settle(createLog(first, DESCRIPTION));
    for (let life = 0; life < 5; life++) {
      this.disk.kill();
      this.clock.offsetMs += randomBelow(this.random, 400) - 200;
      const log = await this.#open();
      for (let writer = 0; writer < 4; writer++) this.#live(6, () => this.#append(log));
      for (let partition = 0; partition < PARTITIONS; partition++) {
        this.#live(10, () => this.#read(log, partition));
        this.#live(60, () => this.#release(log, partition));
      }
      await this.time.run(this.time.nowMs + 20 + randomBelow(this.random, 300));
    }
    this.disk.kill();
    await this.#checkEnd(await this.#open());
  }

  async #open(): Promise<LogCore> {
    const { clock, time: timers, random } = this;
    this.#life++;
    const limits = configOf({
      maxBlockBytes: 1_024 + randomBelow(random, 500),
      maxCommitBytes: 4_000,
      writeBufferBytes: 3_000,
      retention: { ageMs: 60 },
    });
    const store = this.disk.open(timers);
    const log = await timers.settle(
      openLogCore({ store, description: DESCRIPTION, limits, clock, timers, logger: silentLogger }),
    );
    expect(log.stats.damaged).toBe(0);
    return log;
  }

  /** Does something again and again until the log is killed; an error ends the run. */
  #live(pauseMs: number, step: () => Promise<void>): void {
    const life = this.#life;
    const loop = async () => {
      for (;;) {
        await this.#pause(pauseMs);
        if (life !== this.#life) return;
        await step();
      }
    };
    loop().catch((error: unknown) => {
      this.time.after(0, () => {
        throw error;
      });
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.time.after(this.random.next() * ms, resolve));
  }

  async #append(log: LogCore): Promise<void> {
    const appends = Array.from({ length: 1 + randomBelow(this.random, 2) }, () => ({
      partition: randomBelow(this.random, PARTITIONS),
      names: Array.from({ length: 1 + randomBelow(this.random, 6) }, () => this.#name()),
    }));
    const runs = await log.append(
      appends.map(({ partition, names }) => ({ partition, records: names.map((name) => Buffer.from(name)) })),
      CALL,
    );
    for (const [i, { partition, firstOffset }] of runs.entries()) {
      for (const [at, name] of appends[i]!.names.entries()) this.#know(partition, firstOffset + at, name);
    }
    this.acknowledged += runs.length;
  }

  async #read(log: LogCore, partition: number): Promise<void> {
    const from = this.next[partition]!;
    const options = { ...CALL, maxBytes: 1 + randomBelow(this.random, 3_000), waitMs: 50 };
    const life = this.#life;
    const page = await log.read(partition, from, options);
    // A read that waited in a log that is dead by now ends without its disk.
    if (life !== this.#life) return;
    expect(page.end).toBeGreaterThanOrEqual(page.next);
    for (const [i, { offset, payload, appendedAtMs }] of page.records.entries()) {
      expect(offset).toBe(from + i);
      expect(appendedAtMs).toBeGreaterThanOrEqual(this.lastMs[partition]!);
      this.lastMs[partition] = appendedAtMs;
      this.#know(partition, offset, payload.toString());
    }
    this.next[partition] = page.next;
  }

  async #release(log: LogCore, partition: number): Promise<void> {
    const before = Math.max(0, this.next[partition]! - randomBelow(this.random, 10));
    this.released[partition] = Math.max(this.released[partition]!, before);
    await log.release(partition, before, CALL);
  }

  #know(partition: number, offset: number, name: string): void {
    const known = this.known[partition]!.get(offset);
    if (known === undefined) this.known[partition]!.set(offset, name);
    else expect(name).toBe(known);
  }

  #name(): string {
    return `${++this.#names}`.padEnd(5 + randomBelow(this.random, 300), '.');
  }

  async #checkEnd(log: LogCore): Promise<void> {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { start, end } = await log.bounds(partition, CALL);
      expect(start).toBeLessThanOrEqual(this.released[partition]!);
      this.trimmed += start;
      const found = new Map<number, string>();
      for (let next = start; next < end; ) {
        const page = await this.time.settle(
          log.read(partition, next, { ...CALL, maxBytes: 9_000, waitMs: 0 }),
        );
        for (const { offset, payload } of page.records) found.set(offset, payload.toString());
        next = page.next;
      }
      expect([...found.keys()]).toEqual(Array.from({ length: end - start }, (_, i) => start + i));
      for (const [offset, name] of this.known[partition]!) {
        if (offset >= start) expect(found.get(offset)).toBe(name);
      }
    }
  }
}

describe('the log under kills, pauses and a clock that jumps', () => {
  it(`keeps what it acknowledged or showed to a reader, in ${SEEDS} schedules`, {
    timeout: 90_000,
  }, async () => {
    let acknowledged = 0;
    let trimmed = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new World(seed);
      try {
        await world.run();
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
      acknowledged += world.acknowledged;
      trimmed += world.trimmed;
    }
    expect(acknowledged).toBeGreaterThan(SEEDS * 100);
    expect(trimmed).toBeGreaterThan(SEEDS * 10);
  });
});
