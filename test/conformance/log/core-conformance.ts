import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogCore } from '../../../services/log/core.js';
import type { CoreHarness } from './harness.js';
import { CALL, eventually, PAGE, readAll, rejection, texts } from './log-conformance.js';

const KiB = 1024;

/** What the embedded log does beyond the interface, over any of its stores. */
export function coreConformance(name: string, makeHarness: () => Promise<CoreHarness>): void {
  describe(`the embedded log: ${name}`, () => {
    let harness: CoreHarness;
    let log: LogCore;

    beforeEach(async () => {
      harness = await makeHarness();
    });
    afterEach(() => harness.dispose());

    const retainedBytes = () => log.stats.partitions.reduce((sum, { bytes }) => sum + bytes, 0);
    const fill = async (partition: number, appends: number, bytes = 50 * KiB) => {
      for (let i = 0; i < appends; i++) {
        await log.append([{ partition, records: [Buffer.alloc(bytes, i)] }], CALL);
      }
    };

    it('makes one block of all that is appended to a partition at once, within the limit', async () => {
      log = await harness.open({ maxBlockBytes: 4 * KiB });
      await log.append([{ partition: 0, records: texts('first', 1) }], CALL);
      await Promise.all(
        [...Array(100).keys()].map((i) => log.append([{ partition: 0, records: texts(`s${i}`, 2) }], CALL)),
      );
      const { blocks } = await log.readBlocks(0, 1, PAGE);
      expect(blocks.length).toBeLessThan(4);
      await log.append(
        [{ partition: 1, records: Array.from({ length: 20 }, () => Buffer.alloc(KiB)) }],
        CALL,
      );
      const split = (await log.readBlocks(1, 0, PAGE)).blocks;
      expect(split.length).toBe(7);
      for (const block of split) expect(block.length).toBeLessThan(4.2 * KiB);
      expect((await readAll(log, 1)).length).toBe(20);
    });

    it('refuses appends when it is full, before anything is applied, and takes them when records may go', async () => {
      log = await harness.open({ retention: { maxBytes: 1024 * KiB } });
      const error = await rejection(fill(0, 30));
      expect(error).toMatchObject({ code: 'OVERLOADED', mayHaveApplied: false, retryable: true });
      const { end } = await log.bounds(0, CALL);
      expect(end).toBe(20);
      await log.release(0, 10, CALL);
      // Young, but released, and the log is over seven eighths.
      await eventually(async () => retainedBytes() <= 896 * KiB);
      const { start } = await log.bounds(0, CALL);
      expect(start).toBeGreaterThan(0);
      expect(start).toBeLessThanOrEqual(10);
      await fill(1, 1, 100);
      expect((await readAll(log, 0, start)).length).toBe(20 - start);
    });

    it('by size lets the oldest of any partition go first, never what is not released', async () => {
      log = await harness.open({ retention: { maxBytes: 1024 * KiB } });
      await fill(0, 5);
      harness.clock.movedMs += 10;
      await fill(1, 5);
      await log.release(1, 5, CALL);
      await fill(2, 9);
      await log.release(0, 5, CALL);
      await eventually(
        async () => (await log.bounds(0, CALL)).start === 1 || (await log.bounds(1, CALL)).start > 0,
      );
      expect((await log.bounds(2, CALL)).start).toBe(0);
      expect(retainedBytes()).toBeLessThan(1024 * KiB);
    });

    it('keeps the last block whatever its age, so that offset and time go on from it', async () => {
      log = await harness.open({ retention: { ageMs: 10 } });
      await fill(0, 3);
      harness.clock.movedMs += 1_000;
      await log.release(0, 3, CALL);
      await eventually(async () => (await log.bounds(0, CALL)).start === 2);
      await harness.kill();
      harness.clock.movedMs -= 5_000;
      log = await harness.open();
      await fill(0, 1);
      const [old, fresh] = await readAll(log, 0, 2);
      expect(fresh!.offset).toBe(3);
      expect(fresh!.appendedAtMs).toBeGreaterThanOrEqual(old!.appendedAtMs);
    });

    it('bounds what waits: bytes of appends, and reads', async () => {
      log = await harness.open({ maxPendingBytes: 100 * KiB, maxWaitingReads: 2 });
      const appends = [...Array(5).keys()].map(() =>
        fill(0, 1, 40 * KiB).then(
          () => 'ok',
          (error: { code: string }) => error.code,
        ),
      );
      expect((await Promise.all(appends)).sort()).toEqual([
        'OVERLOADED',
        'OVERLOADED',
        'OVERLOADED',
        'ok',
        'ok',
      ]);
      const waiting = [1, 1].map((partition) => log.read(partition, 0, { ...PAGE, waitMs: 5_000 }));
      expect(await rejection(log.read(1, 0, { ...PAGE, waitMs: 5_000 }))).toMatchObject({
        code: 'OVERLOADED',
      });
      await fill(1, 1, 10);
      expect((await Promise.all(waiting)).map(({ records }) => records.length)).toEqual([1, 1]);
      expect(log.stats.waitingReads).toBe(0);
    });

    it('answers the reads that wait when it closes, and refuses what comes then', async () => {
      log = await harness.open();
      const waiting = rejection(log.read(1, 0, { ...PAGE, waitMs: 5_000 }));
      const appended = fill(0, 1);
      await Promise.all([log.drain(), appended]);
      expect(await waiting).toMatchObject({ code: 'UNAVAILABLE' });
      expect(await rejection(fill(0, 1))).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
    });

    it('finds at start what was lost in the middle, and answers nothing of that partition but DATA_LOSS', async () => {
      log = await harness.open();
      for (let i = 0; i < 40; i++) await fill(i % 2, 1, 9 * KiB);
      await harness.kill();
      await harness.loseMiddleOfLog();
      log = await harness.open();
      expect(log.stats.damaged).toBeGreaterThan(0);
      const damaged: number[] = [];
      for (const partition of [0, 1]) {
        const read = await log.read(partition, 0, PAGE).catch((error: unknown) => error);
        if (!(read instanceof Error)) continue;
        damaged.push(partition);
        expect(read).toMatchObject({ code: 'DATA_LOSS' });
        expect(await rejection(fill(partition, 1))).toMatchObject({
          code: 'DATA_LOSS',
          mayHaveApplied: false,
        });
      }
      expect(damaged.length).toBe(log.stats.damaged);
      // The others go on, and it is found again.
      await fill(3, 2);
      await harness.kill();
      log = await harness.open();
      expect(log.stats.damaged).toBe(damaged.length);
      expect((await readAll(log, 3)).length).toBe(2);
    });
  });
}
