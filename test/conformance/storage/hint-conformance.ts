import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HintStore } from '../../../node/storage/hints.js';
import { corrupt, entryOf, type Harness, metricValue, type Opened } from './harness.js';

/** What hints must do on every store. */
export function hintConformance(name: string, openHarness: () => Promise<Harness>): void {
  describe(`hints on ${name}`, () => {
    let harness: Harness;
    let opened: Opened;
    let hints: HintStore;
    let wallMs: number;
    const limits = { maxHintBytesPerTarget: 2_000, maxHintAgeMs: 1_000 };

    const openHints = () =>
      HintStore.open({
        records: opened.store.local,
        limits,
        metrics: opened.metrics,
        clock: { wallMs: () => wallMs, monotonicMs: () => wallMs },
      });

    beforeEach(async () => {
      wallMs = 1_700_000_000_000;
      harness = await openHarness();
      opened = await harness.open();
      hints = await openHints();
    });

    afterEach(() => harness.dispose());

    it('a newer state replaces the older one, an older one changes nothing', async () => {
      const [older, newer] = [entryOf({ sequence: 1 }), entryOf({ sequence: 2, count: 2 })];
      expect(await hints.add('n2', [older], wallMs)).toEqual({ stored: 1, left: 0 });
      await hints.add('n2', [newer, older], wallMs + 5);
      await hints.add('n2', [older], wallMs + 9);
      expect(await hints.page('n2', 10)).toEqual([newer]);
      const bytes = 4 + newer.key.length + 6 + newer.value.length;
      expect(hints.stats('n2')).toEqual({ entries: 1, bytes, oldestMs: wallMs, overflowed: false });
    });

    it('keeps targets apart, one name the start of another too', async () => {
      await hints.add('n1', [entryOf({ key: 'a' })], wallMs);
      await hints.add('n12', [entryOf({ key: 'b' }), entryOf({ key: 'c' })], wallMs + 1);
      expect(await hints.page('n1', 10)).toEqual([entryOf({ key: 'a' })]);
      expect(await hints.page('n12', 10)).toHaveLength(2);
      expect(hints.targets().sort()).toEqual(['n1', 'n12']);
      expect(hints.stats()).toMatchObject({ entries: 3, oldestMs: wallMs });
    });

    it('pages in key order, from the start or after a key', async () => {
      const entries = [1, 2, 3, 4, 5].map((producer) => entryOf({ producer }));
      await hints.add('n2', entries, wallMs);
      const first = await hints.page('n2', 2);
      expect(first).toEqual(entries.slice(0, 2));
      expect(await hints.page('n2', 10, first[1]!.key)).toEqual(entries.slice(2));
    });

    it('removes what was delivered, but not a newer state that came meanwhile', async () => {
      const [kept, delivered] = [entryOf({ key: 'kept' }), entryOf({ key: 'delivered' })];
      await hints.add('n2', [kept, delivered], wallMs);
      const newer = entryOf({ key: 'kept', sequence: 2 });
      await hints.add('n2', [newer], wallMs);
      await hints.remove('n2', [kept, delivered]);
      expect(await hints.page('n2', 10)).toEqual([newer]);
      await hints.remove('n2', [newer]);
      expect(hints.stats('n2')).toEqual({ entries: 0, bytes: 0, oldestMs: undefined, overflowed: false });
      expect(hints.targets()).toEqual([]);
    });

    it('over the cap says what is left to anti-entropy, marks the target durably, and takes newer states on', async () => {
      const entries = Array.from({ length: 40 }, (_, producer) => entryOf({ producer }));
      const { stored, left } = await hints.add('n2', entries, wallMs);
      expect(stored + left).toBe(40);
      expect(opened.engine.writes.at(-1)).toBe(true);
      expect(left).toBeGreaterThan(0);
      expect(hints.stats('n2').bytes).toBeLessThanOrEqual(limits.maxHintBytesPerTarget);
      expect(await metricValue(opened.metrics.hintsDropped)).toBe(left);
      const newer = entryOf({ producer: 0, sequence: 9 });
      expect(await hints.add('n2', [newer], wallMs)).toEqual({ stored: 1, left: 0 });
      expect(opened.engine.writes.at(-1)).toBe(false);
      await harness.kill();
      opened = await harness.open();
      hints = await openHints();
      expect(hints.stats('n2').overflowed).toBe(true);
      await hints.clearOverflow('n2');
      expect(hints.stats('n2')).toMatchObject({ overflowed: false, entries: stored });
    });

    it('drops what is too old, which marks the target', async () => {
      await hints.add('n2', [entryOf({ key: 'old' })], wallMs);
      await hints.add('n2', [entryOf({ key: 'young' })], wallMs + 600);
      wallMs += 1_200;
      expect(await hints.page('n2', 1)).toEqual([entryOf({ key: 'young' })]);
      expect(hints.stats('n2')).toMatchObject({ entries: 1, overflowed: true });
      expect(await metricValue(opened.metrics.hintsDropped)).toBe(1);
    });

    it('never delivers a bad one', async () => {
      const [bad, good] = [entryOf({ producer: 1 }), entryOf({ producer: 2 })];
      await hints.add('n2', [bad, good], wallMs);
      const [record] = await opened.store.local.page({ from: Buffer.from('h'), to: Buffer.from('i') }, 1);
      await corrupt(opened.engine, Buffer.concat([Buffer.from([0xf0, 0x10]), record!.key]), 8 * 6 + 9);
      expect(await hints.page('n2', 10)).toEqual([good]);
      expect(hints.stats('n2').overflowed).toBe(true);
    });

    it('come back after a restart with their totals', async () => {
      await hints.add('n2', [entryOf({ key: 'a' }), entryOf({ key: 'b' })], wallMs);
      const before = hints.stats('n2');
      await opened.store.close();
      opened = await harness.open();
      hints = await openHints();
      expect(hints.stats('n2')).toEqual(before);
      expect(await hints.page('n2', 10)).toHaveLength(2);
    });

    it('of calls made at once all are applied', async () => {
      const calls = Array.from({ length: 10 }, (_, i) =>
        hints.add('n2', [entryOf({ producer: 1, sequence: 9 - i }), entryOf({ producer: 2 + i })], wallMs),
      );
      await Promise.all([...calls, hints.add('n3', [entryOf()], wallMs)]);
      expect((await hints.page('n2', 20))[0]).toEqual(entryOf({ producer: 1, sequence: 9 }));
      expect(hints.stats('n2').entries).toBe(11);
      expect(hints.stats().entries).toBe(12);
    });
  });
}
