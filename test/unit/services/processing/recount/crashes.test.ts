import { describe, expect, it } from 'vitest';
import { decodeCheckpoint } from '../../../../../client/log-driven/checkpoint.js';
import type { Shard } from '../../../../../counter/shard.js';
import { windowIndex } from '../../../../../counter/window.js';
import { TallyringError } from '../../../../../proto/errors.js';
import { encodeRecord } from '../../../../../services/event.js';
import { SeededRandom } from '../../../../simulation/seeded-random.js';
import { recount, startRecount } from './recount-world.js';
import { Process, World } from './world.js';

const HOUR_MS = 3_600_000;
const T0 = Date.UTC(2026, 0, 10);
/** So long that a correction does not fit into one checkpoint. */
const KEYS = Array.from({ length: 4 }, (_, i) => `key-${i}-${'x'.repeat(900)}`);

function append(world: World, events: number, random: SeededRandom): void {
  for (let i = 0; i < events; i++) {
    const offset = world.log.length;
    const payload = encodeRecord({
      recordId: `id-${random.below(4) === 0 ? offset - 1 : offset}`,
      videoId: random.pick(KEYS),
      eventType: 'view',
      timestampMs: T0 + random.below(5) * HOUR_MS,
      value: random.below(25) - 5,
    });
    world.log.push({ offset, appendedAtMs: T0 + offset, payload });
  }
}

/** Some shards are lost, of others the count and sum are wrong. */
function tamper(world: World, random: SeededRandom): void {
  for (const { shards } of world.cells.values()) {
    for (const [id, shard] of shards) {
      if (random.below(2) === 0) continue;
      if (random.below(3) === 0) shards.delete(id);
      else shards.set(id, { ...shard, count: Number(shard.count) + random.below(12) - 3, sum: 1_000 });
    }
  }
}

/** A log of six days whose first days are trimmed; then events of the last days got lost in every window. */
async function trimmedWorld(seed: number) {
  const random = new SeededRandom(`trimmed ${seed}`);
  const world = new World();
  for (let offset = 0; offset < 150; offset++) {
    const atMs = T0 + offset * HOUR_MS;
    const videoId = random.pick(KEYS);
    const record = { videoId, eventType: 'view', timestampMs: atMs, value: 1 + random.below(9) };
    const payload = encodeRecord({ ...record, recordId: `id-${offset}` });
    world.log.push({ offset, appendedAtMs: atMs, payload });
  }
  await world.count();
  const right = world.values();
  world.start = 40;
  for (const { cell, shards } of [...world.cells.values()]) {
    if (cell.granularity !== 'hour' || cell.window * HOUR_MS < T0 + 100 * HOUR_MS) continue;
    if (random.below(2) === 0) continue;
    const [[id, lost]] = [...shards] as [[string, Shard]];
    for (const granularity of ['total', 'day', 'hour'] as const) {
      const window = windowIndex(granularity, cell.window * HOUR_MS);
      const hurt = world.shardsOf({ ...cell, granularity, window });
      const held = hurt.get(id)!;
      const [count, sum] = [Number(held.count) - Number(lost.count), Number(held.sum) - Number(lost.sum)];
      hurt.set(id, { ...held, count, sum });
    }
  }
  expect(world.values()).not.toEqual(right);
  return { world, right };
}

/** A world whose events are all counted, once tampered with; and what it should be. */
async function hurtWorld(seed: number, more: number) {
  const random = new SeededRandom(seed);
  const world = new World();
  append(world, 60, random);
  await world.count();
  const right = world.values();
  tamper(world, random);
  const wrong = world.values();
  append(world, more, random);
  return { world, right, wrong };
}

describe('a repair', () => {
  it('mends everything in one go, pass by pass, and a second one finds nothing', async () => {
    const { world, right, wrong } = await hurtWorld(7, 0);
    expect(right.size).toBeGreaterThan(10);
    expect(wrong).not.toEqual(right);
    const { report } = await recount(world, { maxCells: 6 });
    expect(report).toMatchObject({ refusal: undefined, found: { left: 0, wrong: 0 } });
    expect(report!.passes).toBeGreaterThan(1);
    expect(report!.share).toBe(1);
    expect(world.values()).toEqual(right);
    expect(await recount(world)).toMatchObject({ findings: [], report: { refusal: undefined } });
  });

  it('is as if nobody had looked when it is not asked for', async () => {
    const { world, wrong } = await hurtWorld(8, 0);
    const { report } = await recount(world, { repair: false });
    expect(report!.found.wrong).toBeGreaterThan(0);
    expect(world.values()).toEqual(wrong);
  });

  it('waits for every replica: one that is away may hold what is missing', async () => {
    const { world, wrong } = await hurtWorld(9, 0);
    world.isAtAll = false;
    const { report } = await recount(world);
    expect(report!.found).toMatchObject({ wrong: 0, repaired: 0 });
    expect(report!.found.left).toBeGreaterThan(0);
    expect(world.values()).toEqual(wrong);
  });

  it('says what it waits for, and goes on once it comes', async () => {
    const { world, right } = await hurtWorld(10, 0);
    const process = new Process();
    const register = world.register(process);
    let failures = 2;
    const acquire: typeof register.acquire = (options) => {
      if (failures-- > 0) return Promise.reject(new TallyringError('UNAVAILABLE', 'one of two is live'));
      return register.acquire(options);
    };
    world.register = () => ({ ...register, acquire });
    const { report, waits } = await recount(world, { process });
    expect(report).toMatchObject({ refusal: undefined, waitsFor: undefined });
    expect([...waits]).toEqual(['one of two is live']);
    expect(world.values()).toEqual(right);
  });

  it('that is cut off at any step leaves whole corrections only, whoever comes next', async () => {
    let cutOff = 0;
    for (let steps = 0; ; steps++) {
      const { world, right, wrong } = await hurtWorld(steps % 5, 0);
      const process = new Process(steps);
      const { report } = await recount(world, { process });
      if (report !== undefined) break;
      const named = decodeCheckpoint(world.checkpoint!).correction;
      if (named !== undefined) cutOff++;
      await world.count();
      const after = world.values();
      for (const name of new Set([...right.keys(), ...wrong.keys()])) {
        expect([right.get(name), wrong.get(name)], `step ${steps}, ${name}`).toContain(after.get(name));
      }
      for (const { key, eventType, granularity, window } of named?.cells ?? []) {
        const name = JSON.stringify([key, eventType, granularity, window]);
        expect(after.get(name), `step ${steps}, named`).toBe(right.get(name));
      }
      expect(decodeCheckpoint(world.checkpoint!).correction).toBeUndefined();
      await recount(world);
      expect(world.values(), `step ${steps}`).toEqual(right);
    }
    // Else no correction was ever half written, and nothing was shown.
    expect(cutOff).toBeGreaterThan(10);
  }, 60_000);

  it('that stalls at any step and wakes beside its successor changes nothing any more', async () => {
    for (let steps = 0; ; steps++) {
      const { world, right } = await hurtWorld(steps % 3, 0);
      const process = new Process(steps);
      const stalled = startRecount(world, { process });
      if ((await world.until(stalled.report, process)) !== undefined) break;
      await recount(world);
      process.wake();
      expect(await world.until(stalled.report, process)).toMatchObject({ refusal: undefined });
      // One that had not begun repairs nothing; one that had corrects nothing twice.
      expect(world.values(), `step ${steps}`).toEqual(right);
    }
  }, 60_000);

  it('that is fenced at any step takes the partition again and goes on to its end', async () => {
    let goneOn = 0;
    for (let steps = 0; ; steps++) {
      const { world } = await hurtWorld(steps % 5, 0);
      const process = new Process(steps);
      const { report, findings } = startRecount(world, { process, maxCells: 6 });
      if ((await world.until(report, process)) !== undefined) break;
      append(world, 9, new SeededRandom(steps));
      await world.count();
      const { epoch } = world;
      const found = findings.length;
      process.wake();
      expect(await world.until(report, process), `step ${steps}`).toMatchObject({
        ...{ refusal: undefined, found: { left: 0, wrong: 0 } },
        committed: 69,
      });
      const names = findings.map(({ key, granularity, window }) => `${key} ${granularity} ${window}`);
      expect(new Set(names).size, `step ${steps}: told once`).toBe(names.length);
      if (found > 0 && world.epoch > epoch) goneOn++;
      const twin = new World();
      twin.log = world.log;
      await twin.count();
      expect(world.values(), `step ${steps}`).toEqual(twin.values());
    }
    // Else none was fenced between its first finding and its end, and nothing was shown.
    expect(goneOn).toBeGreaterThan(10);
  }, 60_000);

  it('of one key that is fenced at any step, even while it gives the partition back, comes to its end', async () => {
    const key = KEYS[0]!;
    let reachedEnd = false;
    for (let steps = 0; !reachedEnd; steps++) {
      const { world } = await hurtWorld(3, 0);
      const process = new Process(steps);
      const { report } = startRecount(world, { process, key });
      reachedEnd = (await world.until(report, process)) !== undefined;
      await world.count();
      process.wake();
      const done = (await world.until(report, process))!;
      expect(done, `step ${steps}`).toMatchObject({ refusal: undefined, found: { left: 0, wrong: 0 } });
      expect(done.passes, `step ${steps}: done keys are not read again`).toBeLessThanOrEqual(1);
    }
  }, 60_000);

  it('of a trimmed log, cut off at any step, mends what is longer than the log too', async () => {
    for (let steps = 0; ; steps += 3) {
      const { world, right } = await trimmedWorld(steps % 4);
      const process = new Process(steps);
      const { report } = await recount(world, { process });
      await recount(world);
      expect(world.values(), `step ${steps}`).toEqual(right);
      if (report === undefined) continue;
      expect(report.notWhole).toBeGreaterThan(0);
      expect(report.found.repaired).toBeGreaterThan(0);
      break;
    }
  }, 60_000);

  it('that is cut off disturbs no event that comes later', async () => {
    for (let steps = 20; steps < 200; steps += 7) {
      const { world } = await hurtWorld(steps, 0);
      await recount(world, { process: new Process(steps) });
      append(world, 25, new SeededRandom(steps));
      await world.count();
      await recount(world);
      const twin = new World();
      twin.log = world.log;
      await twin.count();
      expect(twin.values().size).toBeGreaterThan(10);
      expect(world.values(), `step ${steps}`).toEqual(twin.values());
    }
  }, 60_000);
});
