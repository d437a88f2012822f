import { describe, expect, it } from 'vitest';
import { decodeCheckpoint, MAX_RULES } from '../../../../../client/log-driven/checkpoint.js';
import { encodeRecord } from '../../../../../services/event.js';
import { SeededRandom } from '../../../../simulation/seeded-random.js';
import { recount } from './recount-world.js';
import { World } from './world.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const T0 = Date.UTC(2026, 0, 10);

/** Events of up to four days ago and a day ahead, retried now and then, some of them no events at all. */
function append(world: World, events: number, random: SeededRandom): void {
  for (let i = 0; i < events; i++) {
    const offset = world.log.length;
    const appendedAtMs = T0 + offset * 2 * HOUR_MS;
    const timestampMs = appendedAtMs + (random.below(6) - 4) * DAY_MS + random.below(24) * HOUR_MS;
    const retried = random.below(3) === 0 ? offset - 1 - random.below(10) : offset;
    const recordId = random.below(5) === 0 ? undefined : `id-${retried}`;
    const event = { videoId: `k${random.below(3)}`, eventType: 'view', timestampMs, value: random.below(9) };
    const isPoison = random.below(10) === 0;
    const payload = isPoison ? Buffer.from('x') : encodeRecord({ ...event, recordId });
    world.log.push({ offset, appendedAtMs, payload });
  }
}

/** Counted by rules that changed now and then, from a log that was trimmed meanwhile. */
async function trimmed(seed: number, changes: number): Promise<World> {
  const random = new SeededRandom(`trimmed ${seed}`);
  const world = new World();
  for (let change = 0; change <= changes; change++) {
    world.dedupWindow = 2 + random.below(12);
    append(world, 4 + random.below(120 / (changes + 1)), random);
    await world.count();
    const { rules, committed } = decodeCheckpoint(world.checkpoint!);
    const needed = Math.max(rules.at(-1)!.lookBackFrom, committed - rules.at(-1)!.lookBack);
    if (random.below(3) > 0) world.start = Math.max(world.start, random.below(needed + 1));
  }
  return world;
}

describe('a recount of a trimmed log', () => {
  it('takes nothing for wrong that is not, whatever is gone and whatever rules counted it', async () => {
    const totals = { cells: 0, notWhole: 0, undecided: 0 };
    for (let seed = 0; seed < 150; seed++) {
      const world = await trimmed(seed, seed % 4);
      const { report, findings } = await recount(world, { maxCells: 1 + (seed % 60) });
      expect(report!.refusal, `seed ${seed}`).toBeUndefined();
      expect(findings, `seed ${seed}`).toEqual([]);
      totals.cells += report!.cells;
      totals.notWhole += report!.notWhole;
      totals.undecided += report!.undecided;
    }
    expect(Math.min(...Object.values(totals))).toBeGreaterThan(100);
  }, 60_000);

  it('knows that rules which nobody remembers may have counted what came before', async () => {
    const world = await trimmed(3, MAX_RULES + 3);
    world.start = 0;
    const { report, findings } = await recount(world);
    expect(findings).toEqual([]);
    expect(report!.notWhole).toBeGreaterThan(0);
  });

  it('compares nothing when nothing is left', async () => {
    const world = await trimmed(5, 0);
    world.start = world.log.length;
    const { report } = await recount(world);
    expect(report).toMatchObject({ records: 0, cells: 0, refusal: undefined });
  });

  it('that lost what was not counted yet is refused, and its owner is left alone', async () => {
    const world = await trimmed(6, 0);
    append(world, 10, new SeededRandom(1));
    world.start = world.log.length - 1;
    const before = world.checkpoint;
    const { report } = await recount(world);
    expect(report!.refusal).toMatchObject({ code: 'DATA_LOSS' });
    expect(world.checkpoint).toEqual(before);
  });

  it('that was never counted is none', async () => {
    const world = new World();
    append(world, 10, new SeededRandom(1));
    const { report } = await recount(world);
    expect(report).toMatchObject({ committed: 0, records: 0, refusal: undefined });
    expect(world.checkpoint).toBeNull();
  });
});
