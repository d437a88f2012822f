import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_GROUP_ENTRIES } from '../../../node/storage/group-commit.js';
import { prefixEnd, rowOfKey } from '../../../node/storage/keyspace.js';
import type { Change, HeldHash } from '../../../node/storage/store.js';
import { decodeShard, type Entry, encodeShard, KIND } from '../../../proto/entry.js';
import {
  corrupt,
  EVERYTHING,
  entryOf,
  everything,
  type Harness,
  hashOf,
  metricValue,
  type Opened,
  until,
} from './harness.js';

const rangeOf = (row: Buffer) => ({ from: row, to: prefixEnd(row) });

/** What every implementation of Store must do. */
export function storeConformance(name: string, openHarness: () => Promise<Harness>): void {
  describe(`store on ${name}`, () => {
    let harness: Harness;
    let opened: Opened;

    beforeEach(async () => {
      harness = await openHarness();
      opened = await harness.open();
    });

    afterEach(async () => {
      opened.engine.release();
      await harness.dispose();
    });

    const reopen = async () => {
      await opened.store.close();
      opened = await harness.open();
      return opened;
    };
    const restartAfterKill = async () => {
      await harness.kill();
      opened = await harness.open();
      return opened;
    };

    describe('merge', () => {
      it('keeps the greater sequence, whatever the order, and tells what changed', async () => {
        const [older, newer] = [entryOf({ sequence: 3 }), entryOf({ sequence: 300, count: 2 })];
        expect(await opened.store.merge([older])).toEqual({ changed: 1, batch: 1 });
        expect(await opened.store.merge([newer])).toEqual({ changed: 1, batch: 2 });
        expect(await opened.store.merge([older, newer])).toEqual({ changed: 0, batch: 2 });
        expect(await everything(opened.store)).toEqual([newer]);
        expect(opened.changes).toEqual([
          { key: older.key, before: undefined, after: older.value },
          { key: newer.key, before: hashOf(older), after: newer.value },
        ]);
      });

      it('lets the newest of one call, and of one group, stand for all', async () => {
        const entries = [2, 5, 1, 4].map((sequence) => entryOf({ sequence }));
        const answers = await Promise.all([
          opened.store.merge(entries),
          opened.store.merge([entryOf({ sequence: 7 })]),
        ]);
        expect(answers.map(({ changed }) => changed)).toEqual([0, 1]);
        expect(opened.changes).toHaveLength(1);
        expect(await everything(opened.store)).toEqual([entryOf({ sequence: 7 })]);
      });

      it('decides the same without its cache', async () => {
        await opened.store.merge([entryOf({ sequence: 5 })]);
        await reopen();
        expect(await opened.store.merge([entryOf({ sequence: 4 })])).toMatchObject({ changed: 0 });
        expect(await opened.store.merge([entryOf({ sequence: 6 })])).toMatchObject({ changed: 1 });
        expect(opened.changes[0]!.before).toEqual(hashOf(entryOf({ sequence: 5 })));
      });

      it('keeps the greater count of two states of one sequence, and reports the bug', async () => {
        const [less, more] = [entryOf({ count: 5 }), entryOf({ count: 6 })];
        await opened.store.merge([less]);
        await opened.store.merge([more]);
        await opened.store.merge([less]);
        expect(await everything(opened.store)).toEqual([more]);
        expect(await metricValue(opened.metrics.shardConflicts)).toBe(2);
      });

      it('refuses a kind that it does not know, and applies nothing of that call', async () => {
        const known = entryOf({ key: 'known' });
        const key = Buffer.from(entryOf().key.subarray(0, -16));
        key[key.length - 1] = KIND.base;
        const unknown = encodeShard(key, decodeShard(known.value));
        await expect(opened.store.merge([known, unknown])).rejects.toMatchObject({
          code: 'UNSUPPORTED_FORMAT',
        });
        expect(await everything(opened.store)).toEqual([]);
      });

      it('equals a plain map after any merges, grouped in any way', async () => {
        const step = fc.record({
          key: fc.constantFrom('a', 'b', 'é'),
          window: fc.constantFrom(undefined, 0, 490_000),
          producer: fc.constantFrom(1, 2),
          sequence: fc.integer({ min: 0, max: 2 ** 40 }),
        });
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 12 }),
            fc.boolean(),
            async (calls, atOnce) => {
              const mine = await openHarness();
              try {
                const { store, changes } = await mine.open({ limits: { storeCacheEntries: 3 } });
                const twin = new Map<string, Entry>();
                const merges: Promise<unknown>[] = [];
                for (const call of calls) {
                  // The state follows from the sequence, as it does for a real producer.
                  const entries = call.map((spec) => entryOf({ ...spec, count: spec.sequence }));
                  for (const entry of entries) {
                    const held = twin.get(entry.key.toString('hex'));
                    if (!held || decodeShard(held.value).sequence < decodeShard(entry.value).sequence) {
                      twin.set(entry.key.toString('hex'), entry);
                    }
                  }
                  merges.push(store.merge(entries));
                  if (!atOnce) await merges.at(-1);
                }
                await Promise.all(merges);
                const expected = [...twin.values()].sort((a, b) => a.key.compare(b.key));
                expect(await everything(store)).toEqual(expected);
                expectChain(changes);
              } finally {
                await mine.dispose();
              }
            },
          ),
          { numRuns: 25 },
        );
      });
    });

    describe('group commit', () => {
      it('has one batch in flight, and makes one of all that arrives meanwhile', async () => {
        const before = opened.engine.writes.length;
        opened.engine.hold();
        const merges = [opened.store.merge([entryOf({ key: 'first' })])];
        await until(() => opened.engine.heldWrites === 1);
        for (let i = 0; i < 20; i++) merges.push(opened.store.merge([entryOf({ key: `later ${i}` })]));
        expect(opened.engine.writes.length - before).toBe(1);
        opened.engine.release();
        await Promise.all(merges);
        expect(opened.engine.writes.slice(before)).toEqual([true, true]);
        expect(opened.store.syncedBatch).toBe(2);
      });

      it('answers only from what is synced: merges that changed nothing, reads and the listener too', async () => {
        opened.engine.hold();
        const entry = entryOf();
        const done: string[] = [];
        const first = opened.store.merge([entry]).then(() => done.push('first'));
        await until(() => opened.engine.heldWrites === 1);
        const same = opened.store.merge([entry]).then(({ changed }) => done.push(`same changed ${changed}`));
        expect(await everything(opened.store)).toEqual([]);
        expect(await opened.store.get([entry.key])).toEqual([undefined]);
        expect(opened.changes).toEqual([]);
        expect(opened.store.syncedBatch).toBe(0);
        expect(done).toEqual([]);
        opened.engine.release();
        await Promise.all([first, same]);
        expect(done).toEqual(['first', 'same changed 0']);
      });

      it('tells the listener before the merge resolves', async () => {
        await opened.store.merge([entryOf()]).then(() => expect(opened.changes).toHaveLength(1));
      });

      it('closes a group at its cap', async () => {
        const before = opened.engine.writes.length;
        const half = (from: number) =>
          Array.from({ length: MAX_GROUP_ENTRIES / 2 }, (_, i) => entryOf({ window: from + i }));
        const merges = [0, 1, 2].map((n) => opened.store.merge(half(n * MAX_GROUP_ENTRIES)));
        await Promise.all(merges);
        expect(opened.engine.writes.length - before).toBe(2);
      });

      it('refuses with OVERLOADED beyond its bound, applies nothing of that, and recovers', async () => {
        await opened.store.close();
        opened = await harness.open({ limits: { maxPendingMergeBytes: 300 } });
        opened.engine.hold();
        const taken = opened.store.merge([entryOf({ key: 'a' }), entryOf({ key: 'b' })]);
        const refused = entryOf({ key: 'c' });
        await expect(opened.store.merge([refused])).rejects.toMatchObject({
          code: 'OVERLOADED',
          retryable: true,
        });
        expect(await metricValue(opened.metrics.overloaded)).toBe(1);
        opened.engine.release();
        await taken;
        expect(await opened.store.get([refused.key])).toEqual([undefined]);
        await opened.store.merge([refused]);
      });

      it('periodic: acknowledges unsynced batches and syncs them within a second, or at close', async () => {
        await opened.store.close();
        opened = await harness.open({ durability: 'periodic' });
        const from = opened.engine.writes.length;
        await opened.store.merge([entryOf({ sequence: 1 })]);
        await opened.store.merge([entryOf({ sequence: 2 })]);
        expect(opened.engine.writes.slice(from)).toEqual([false, false]);
        expect(opened.timers.planned.map(({ delayMs }) => delayMs)).toEqual([1_000]);
        opened.timers.fireAll();
        await until(() => opened.engine.writes.length === from + 3);
        expect(opened.engine.writes.at(-1)).toBe(true);
        await opened.store.merge([entryOf({ sequence: 3 })]);
        await opened.store.close();
        expect(opened.engine.writes.slice(from + 3)).toEqual([false, true]);
      });
    });

    describe('reads', () => {
      it('gives ranges and pages in byte order, whole', async () => {
        const entries = Array.from({ length: 1_300 }, (_, i) => entryOf({ window: (i * 7919) % 1_300 }));
        await opened.store.merge(entries);
        const sorted = entries.sort((a, b) => a.key.compare(b.key));
        expect(await everything(opened.store)).toEqual(sorted);
        const [some, none] = await opened.store.read([
          { from: sorted[10]!.key, to: sorted[20]!.key },
          { from: EVERYTHING.to, to: Buffer.from([3]) },
        ]);
        expect(some).toEqual({ entries: sorted.slice(10, 20), damaged: false });
        expect(none).toEqual({ entries: [], damaged: false });
        const paged: Entry[] = [];
        for (let from: Buffer | undefined = EVERYTHING.from; from; ) {
          const page = await opened.store.page({ from, to: EVERYTHING.to }, 500);
          expect(page.bad).toEqual([]);
          paged.push(...page.entries);
          from = page.next;
        }
        expect(paged).toEqual(sorted);
        const [got, absent] = await opened.store.get([sorted[5]!.key, entryOf({ key: 'absent' }).key]);
        expect([got, absent]).toEqual([sorted[5], undefined]);
      });

      it('shows nothing of its own records among the entries', async () => {
        await opened.store.local.write([{ key: Buffer.from('x'), value: Buffer.from('y') }], { sync: true });
        await opened.store.merge([entryOf()]);
        expect(await everything(opened.store)).toHaveLength(1);
      });
    });

    describe('bad records', () => {
      const good = entryOf({ producer: 1 });
      const other = entryOf({ producer: 2 });
      const elsewhere = entryOf({ key: 'elsewhere' });
      const row = Buffer.from(rowOfKey(good.key));

      beforeEach(async () => {
        await opened.store.merge([good, other, elsewhere]);
        await corrupt(opened.engine, good.key);
      });

      it('a read says that its row is damaged, and no other row', async () => {
        const [damaged, whole] = await opened.store.read([rangeOf(row), rangeOf(rowOfKey(elsewhere.key))]);
        expect(damaged).toEqual({ entries: [other], damaged: true });
        expect(whole).toEqual({ entries: [elsewhere], damaged: false });
        expect(opened.store.damagedRows()).toEqual([row]);
        await opened.store.read([rangeOf(row)]);
        expect(await metricValue(opened.metrics.badRecords)).toBe(1);
      });

      it('a page names it, and get does not give it', async () => {
        expect(await opened.store.page(EVERYTHING, 10)).toMatchObject({ bad: [good.key], next: undefined });
        expect(await opened.store.get([good.key, other.key])).toEqual([undefined, other]);
        expect(opened.store.damagedRows()).toEqual([row]);
      });

      it('stays damaged through merges and restarts until healed, and what was bad is then gone', async () => {
        await opened.store.read([rangeOf(row)]);
        await opened.store.merge([entryOf({ producer: 3 })]);
        await restartAfterKill();
        expect(opened.store.damagedRows()).toEqual([row]);
        expect((await opened.store.read([rangeOf(row)]))[0]!.damaged).toBe(true);
        await opened.store.healed(row);
        expect(opened.store.damagedRows()).toEqual([]);
        expect(await metricValue(opened.metrics.healedRows)).toBe(1);
        const healed = { entries: [other, entryOf({ producer: 3 })], damaged: false };
        expect(await opened.store.read([rangeOf(row)])).toEqual([healed]);
        await restartAfterKill();
        expect(opened.store.damagedRows()).toEqual([]);
        expect(await opened.store.read([rangeOf(row)])).toEqual([healed]);
      });

      it('takes back the very state that it had in its cache when the record went bad', async () => {
        await opened.store.read([rangeOf(row)]);
        expect(await opened.store.merge([good])).toMatchObject({ changed: 1 });
        await opened.store.healed(row);
        expect(await opened.store.read([rangeOf(row)])).toEqual([{ entries: [good, other], damaged: false }]);
      });

      it('takes back others of the row that nobody met yet, though its cache has them', async () => {
        await opened.store.get([good.key]);
        await corrupt(opened.engine, other.key);
        expect(await opened.store.merge([good, other])).toMatchObject({ changed: 2 });
        await opened.store.healed(row);
        expect(await opened.store.read([rangeOf(row)])).toEqual([{ entries: [good, other], damaged: false }]);
      });

      it('is not healed while it has bad records that nobody met before', async () => {
        await opened.store.get([good.key]);
        await opened.store.merge([good]);
        await corrupt(opened.engine, other.key);
        await expect(opened.store.healed(row)).rejects.toMatchObject({ code: 'NOT_WHOLE' });
        expect(opened.store.damagedRows()).toEqual([row]);
        expect(await opened.store.merge([other])).toMatchObject({ changed: 1 });
        await opened.store.healed(row);
        expect(await opened.store.read([rangeOf(row)])).toEqual([{ entries: [good, other], damaged: false }]);
      });

      it('healing and merging at once loses nothing that was merged', async () => {
        await opened.store.get([good.key]);
        await Promise.all([opened.store.merge([good]), opened.store.healed(row)]);
        expect(await opened.store.get([good.key])).toEqual([good]);
        await corrupt(opened.engine, good.key);
        await opened.store.get([good.key]);
        await Promise.all([opened.store.healed(row), opened.store.merge([good])]);
        expect(await opened.store.get([good.key])).toEqual([good]);
      });

      it('a merge into it writes what comes, older or not, and marks the row', async () => {
        await reopen();
        const older = entryOf({ producer: 1, sequence: 0, count: 0 });
        expect(await opened.store.merge([older])).toMatchObject({ changed: 1 });
        expect(opened.changes[0]!.before).toBeUndefined();
        expect(opened.store.damagedRows()).toEqual([row]);
        await restartAfterKill();
        expect(await opened.store.read([rangeOf(row)])).toEqual([{ entries: [older, other], damaged: true }]);
        expect(await opened.store.merge([good])).toMatchObject({ changed: 1 });
      });

      it('one whose key is unreadable puts the whole store in doubt, durably', async () => {
        const key = Buffer.from(other.key);
        key[20]! ^= 1;
        await opened.engine.inner.write([{ key, value: other.value }], true);
        expect((await opened.store.read([EVERYTHING]))[0]!.damaged).toBe(true);
        expect(opened.store.doubts).toHaveLength(1);
        await opened.store.local.write([{ key: Buffer.from('x'), value: undefined }], { sync: true });
        await restartAfterKill();
        expect(opened.opening.doubts).toHaveLength(1);
        expect(await opened.store.get([key])).toEqual([undefined]);
      });
    });

    describe('first error', () => {
      it('of a synced write fails the store for good', async () => {
        await opened.store.merge([entryOf({ key: 'kept' })]);
        opened.engine.hold();
        const inFlight = opened.store.merge([entryOf({ key: 'in flight' })]);
        await until(() => opened.engine.heldWrites === 1);
        const waiting = opened.store.merge([entryOf({ key: 'waiting' })]);
        opened.engine.failNext = new Error('disk full');
        opened.engine.release();
        const failed = { code: 'STORE_FAILED', cause: { message: 'disk full' } };
        await Promise.all([
          expect(inFlight).rejects.toMatchObject(failed),
          expect(waiting).rejects.toMatchObject(failed),
        ]);
        expect(opened.store.failure).toMatchObject(failed);
        expect(opened.failures).toEqual([opened.store.failure]);
        const later = [
          opened.store.merge([entryOf()]),
          opened.store.read([EVERYTHING]),
          opened.store.page(EVERYTHING, 1),
          opened.store.get([entryOf().key]),
          opened.store.healed(entryOf().key),
          opened.store.local.get(Buffer.from('x')),
          opened.store.local.write([{ key: Buffer.from('x'), value: undefined }], { sync: false }),
        ];
        for (const call of later) await expect(call).rejects.toMatchObject(failed);
        expect(opened.failures).toHaveLength(1);
        expect(opened.changes).toHaveLength(1);
        await reopen();
        expect(await everything(opened.store)).toEqual([entryOf({ key: 'kept' })]);
      });

      it('of an unsynced write too, and nothing overtakes the news of it', async () => {
        opened.engine.hold();
        const local = opened.store.local.write([{ key: Buffer.from('x'), value: Buffer.from('y') }], {
          sync: false,
        });
        await until(() => opened.engine.heldWrites === 1);
        const merge = opened.store.merge([entryOf()]);
        opened.engine.failNext = new Error('disk full');
        opened.engine.release();
        await Promise.all([
          expect(local).rejects.toMatchObject({ code: 'STORE_FAILED' }),
          expect(merge).rejects.toMatchObject({ code: 'STORE_FAILED' }),
        ]);
        expect(opened.changes).toEqual([]);
      });

      it('of a read as well', async () => {
        await opened.store.merge([entryOf()]);
        opened.engine.failReads = new Error('table is corrupt');
        await expect(everything(opened.store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
        await expect(opened.store.merge([entryOf()])).rejects.toMatchObject({ code: 'STORE_FAILED' });
      });
    });

    describe('restart', () => {
      it('a new store says so until it is declared whole', async () => {
        expect(opened.opening).toEqual({ created: true, doubts: [] });
        const { storeId } = opened.store;
        await restartAfterKill();
        expect(opened.opening).toEqual({ created: true, doubts: [] });
        await opened.store.declareWhole();
        await restartAfterKill();
        expect(opened.opening).toEqual({ created: false, doubts: [] });
        expect(opened.store.storeId).toBe(storeId);
      });

      it('a kill keeps all that was acknowledged, and the numbers go on', async () => {
        const entries = [1, 2, 3].map((producer) => entryOf({ producer }));
        for (const entry of entries) await opened.store.merge([entry]);
        await restartAfterKill();
        expect(await everything(opened.store)).toEqual(entries);
        expect(opened.store.syncedBatch).toBe(3);
        expect(await opened.store.merge([entryOf({ producer: 4 })])).toEqual({ changed: 1, batch: 4 });
        await restartAfterKill();
        expect(opened.opening.doubts).toEqual([]);
        expect(opened.store.syncedBatch).toBe(4);
      });

      it('a batch lost in the middle of the log is a doubt, until the store is declared whole', async () => {
        await opened.store.declareWhole();
        for (let batch = 0; batch < 60; batch++) {
          await opened.store.merge(Array.from({ length: 40 }, (_, i) => entryOf({ window: batch * 40 + i })));
        }
        const newest = opened.store.syncedBatch;
        await harness.kill();
        await harness.loseMiddleOfLog();
        opened = await harness.open();
        expect((await everything(opened.store)).length).toBeLessThan(2_400);
        expect(opened.opening.created).toBe(false);
        expect(opened.opening.doubts).toHaveLength(1);
        expect(opened.opening.doubts[0]).toMatch(/^batches \d+ to \d+ are missing from the log$/);
        expect(opened.store.syncedBatch).toBe(newest);
        const { doubts } = opened.opening;
        await restartAfterKill();
        expect(opened.opening.doubts).toEqual(doubts);
        await opened.store.merge([entryOf()]);
        await opened.store.declareWhole();
        expect(opened.store.doubts).toEqual([]);
        await restartAfterKill();
        expect(opened.opening).toEqual({ created: false, doubts: [] });
      });

      it('renewed, it has another storeId and stays in doubt until declared whole', async () => {
        await opened.store.merge([entryOf()]);
        await opened.store.declareWhole();
        const { storeId } = opened.store;
        await opened.store.renew(['a peer remembers more', 'so does another']);
        const renewed = opened.store.storeId;
        expect(renewed).not.toBe(storeId);
        await restartAfterKill();
        expect(opened.store.storeId).toBe(renewed);
        expect(opened.opening.created).toBe(false);
        expect([...opened.opening.doubts].sort()).toEqual(['a peer remembers more', 'so does another']);
        expect(await everything(opened.store)).toEqual([entryOf()]);
        await opened.store.declareWhole();
        await restartAfterKill();
        expect(opened.opening).toEqual({ created: false, doubts: [] });
        expect(opened.store.storeId).toBe(renewed);
      });

      it('keeps few markers however many batches there were', async () => {
        await opened.store.close();
        opened = await harness.open({ limits: { writeBufferBytes: 64 * 1024 } });
        const big = (batch: number) =>
          Array.from({ length: 100 }, (_, i) => entryOf({ producer: i, sequence: batch }));
        for (let batch = 1; batch <= 100; batch++) await opened.store.merge(big(batch));
        const markers = await opened.engine.inner.scan(Buffer.from([0xf0, 1]), Buffer.from([0xf0, 2]), {
          limit: 1_000,
          fillCache: false,
        });
        expect(markers.length).toBeLessThan(60);
        expect(markers.length).toBeGreaterThan(10);
        await restartAfterKill();
        expect(opened.opening.doubts).toEqual([]);
        expect(opened.store.syncedBatch).toBe(100);
      });

      it('one process at a time', async () => {
        await expect(harness.open()).rejects.toMatchObject({
          code: 'FAILED_PRECONDITION',
          message: expect.stringContaining('another process'),
        });
      });

      it('close waits for what is pending, and refuses what comes after', async () => {
        const merge = opened.store.merge([entryOf()]);
        const closed = opened.store.close();
        await expect(opened.store.merge([entryOf({ key: 'late' })])).rejects.toMatchObject({
          code: 'CLOSED',
        });
        await Promise.all([merge, closed]);
        await expect(everything(opened.store)).rejects.toMatchObject({ code: 'CLOSED' });
        opened = await harness.open();
        expect(await everything(opened.store)).toEqual([entryOf()]);
      });
    });

    describe('local records', () => {
      const bytes = (text: string) => Buffer.from(text);

      it('are an ordered map, written atomically, kept when synced', async () => {
        const { local } = opened.store;
        const records = ['b', 'a', 'c'].map((key) => ({ key: bytes(key), value: bytes(`value of ${key}`) }));
        await local.write(records, { sync: true });
        await local.write([{ key: bytes('c'), value: undefined }], { sync: true });
        await restartAfterKill();
        const page = await opened.store.local.page({ from: bytes('a'), to: bytes('z') }, 10);
        expect(page.map(({ key }) => key.toString())).toEqual(['a', 'b']);
        expect(await opened.store.local.page({ from: bytes('a'), to: bytes('b') }, 10)).toHaveLength(1);
        expect(await opened.store.local.page({ from: bytes('a'), to: bytes('z') }, 1)).toHaveLength(1);
        expect(await opened.store.local.get(bytes('a'))).toEqual(bytes('value of a'));
        expect(await opened.store.local.getMany([bytes('c'), bytes('b')])).toEqual([
          undefined,
          bytes('value of b'),
        ]);
      });

      it('unsynced ones cost no sync and no batch number', async () => {
        const from = opened.engine.writes.length;
        await opened.store.local.write([{ key: bytes('a'), value: bytes('1') }], { sync: false });
        expect(opened.engine.writes.slice(from)).toEqual([false]);
        expect(opened.store.syncedBatch).toBe(0);
        expect(await opened.store.local.get(bytes('a'))).toEqual(bytes('1'));
      });
    });
  });
}

/** Each change tells what the one before it of the same key left. */
function expectChain(changes: readonly Change[]): void {
  const held = new Map<string, HeldHash>();
  for (const { key, before, after } of changes) {
    expect(before).toEqual(held.get(key.toString('hex')));
    held.set(key.toString('hex'), hashOf({ key, value: after }));
  }
}
