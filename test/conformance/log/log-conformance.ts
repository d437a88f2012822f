import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogLimits } from '../../../services/log/core.js';
import type { DeadLetters } from '../../../services/log/dead-letters.js';
import type { EventLog } from '../../../services/log/log.js';
import { deadLetterConformance } from './dead-letter-conformance.js';

export type TestedLog = EventLog & { deadLetters: DeadLetters };

export interface RetentionOptions {
  ageMs?: number;
  maxBytes?: number;
}

export type LimitOptions = Partial<Omit<LogLimits, 'retention'>> & { retention?: RetentionOptions };

/** One log under test, of four partitions. */
export interface LogHarness {
  open(limits?: LimitOptions): Promise<TestedLog>;
  /** What holds the log dies at once: what was not synced may be gone. The next `open` is of what is left. */
  kill(): Promise<void>;
  /** After `kill`: the log's data are gone, the next `open` makes a new one. */
  wipe(): Promise<void>;
  /** Makes this much time pass for the log. */
  pass(ms: number): Promise<void>;
  dispose(): Promise<void>;
}

export const CALL = { timeoutMs: 10_000 };
export const PAGE = { ...CALL, maxBytes: 1024 * 1024, waitMs: 0 };

export function texts(prefix: string, count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`${prefix}-${i}`));
}

export async function readAll(log: EventLog, partition: number, from = 0, maxBytes = PAGE.maxBytes) {
  const records = [];
  let next = from;
  for (;;) {
    const page = await log.read(partition, next, { ...PAGE, maxBytes });
    if (page.records.length === 0) return records;
    records.push(...page.records);
    next = page.next;
  }
}

export async function textsOf(log: EventLog, partition: number): Promise<string[]> {
  return (await readAll(log, partition)).map(({ payload }) => payload.toString());
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => Promise.reject(new Error(`it resolved with ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  );
}

/** Asks until it is so, at most ten seconds. */
export async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What every implementation of the log does. Stands on its own: call it at the top of a test file. */
export function logConformance(name: string, makeHarness: () => Promise<LogHarness>): void {
  describe(`the log: ${name}`, () => {
    let harness: LogHarness;
    let log: TestedLog;

    beforeEach(async () => {
      harness = await makeHarness();
      log = await harness.open();
    });
    afterEach(() => harness.dispose());

    const one = (partition: number, ...records: Buffer[]) => log.append([{ partition, records }], CALL);

    it('begins empty, with an id and its partitions', async () => {
      expect(log.description).toEqual({ logId: expect.stringMatching(/.{8,}/), partitions: 4 });
      expect(await log.bounds(3, CALL)).toEqual({ start: 0, end: 0 });
      expect(await log.read(3, 0, PAGE)).toEqual({ records: [], next: 0, start: 0, end: 0 });
    });

    it('keeps the order of a partition, and each append in one run of offsets', async () => {
      const appends = Array.from({ length: 30 }, (_, i) =>
        log.append([{ partition: i % 2, records: texts(`a${i}`, 5) }], CALL),
      );
      const runs = (await Promise.all(appends)).map(([run]) => run!);
      for (const partition of [0, 1]) {
        const records = await readAll(log, partition);
        expect(records.map(({ offset }) => offset)).toEqual([...records.keys()]);
        for (const [i, run] of runs.entries()) {
          if (run.partition !== partition) continue;
          const mine = records.slice(run.firstOffset, run.firstOffset + 5);
          expect(mine.map(({ payload }) => payload)).toEqual(texts(`a${i}`, 5));
        }
        expect(await log.bounds(partition, CALL)).toEqual({ start: 0, end: 75 });
      }
      await one(0, Buffer.from('later'));
      expect((await textsOf(log, 0)).at(-1)).toBe('later');
    });

    it('appends to several partitions at once', async () => {
      await one(2, Buffer.from('before'));
      const runs = await log.append(
        [
          { partition: 2, records: texts('two', 3) },
          { partition: 0, records: texts('zero', 1) },
        ],
        CALL,
      );
      expect(runs).toEqual([
        { partition: 2, firstOffset: 1 },
        { partition: 0, firstOffset: 0 },
      ]);
      expect(await textsOf(log, 2)).toEqual(['before', 'two-0', 'two-1', 'two-2']);
      expect(await textsOf(log, 0)).toEqual(['zero-0']);
    });

    it('gives back any bytes, none too, beside whatever neighbours', async () => {
      const records = [
        Buffer.alloc(0),
        Buffer.from([0, 255, 128, 10]),
        Buffer.alloc(200_000, 7),
        Buffer.alloc(0),
      ];
      await one(1, ...records);
      const read = await readAll(log, 1);
      expect(read.map(({ payload }) => payload.length)).toEqual(records.map(({ length }) => length));
      expect(read.every(({ payload }, i) => payload.equals(records[i]!))).toBe(true);
    });

    it('reads from any offset, in pages of about the size that is asked for', async () => {
      for (let i = 0; i < 4; i++)
        await one(0, ...texts(`r${i}`, 50).map((text) => Buffer.concat([text, Buffer.alloc(96)])));
      const all = await readAll(log, 0);
      for (const from of [0, 1, 49, 50, 123, 199]) {
        const page = await log.read(0, from, { ...PAGE, maxBytes: 1_500 });
        expect(page.records[0]).toEqual(all[from]);
        expect(page).toMatchObject({ start: 0, end: 200, next: from + page.records.length });
        expect(page.records.reduce((sum, { payload }) => sum + payload.length, 0)).toBeLessThanOrEqual(1_500);
      }
      const smallest = await log.read(0, 120, { ...PAGE, maxBytes: 1 });
      expect(smallest.records).toEqual([all[120]]);
      expect(await readAll(log, 0, 0, 700)).toEqual(all);
    });

    it('gives pages of megabytes', async () => {
      const record = Buffer.alloc(1_000, 1);
      for (let i = 0; i < 4; i++) await one(0, ...Array.from({ length: 1_000 }, () => record));
      const page = await log.read(0, 10, { ...PAGE, maxBytes: 4_000_000 });
      expect(page.records.length).toBeGreaterThan(2_500);
      expect((await readAll(log, 0)).length).toBe(4_000);
    });

    it('tells every reader the same time of a record, and it never falls', async () => {
      for (let i = 0; i < 5; i++) {
        await one(i % 3, ...texts('t', 3));
        await harness.pass(i === 2 ? -60_000 : 3);
      }
      const times = (await readAll(log, 0)).map(({ appendedAtMs }) => appendedAtMs);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(times[0]).toBeGreaterThan(1_600_000_000_000);
      await harness.kill();
      log = await harness.open();
      await one(0, ...texts('after', 2));
      const after = (await readAll(log, 0)).map(({ appendedAtMs }) => appendedAtMs);
      expect(after.slice(0, times.length)).toEqual(times);
      expect(after).toEqual([...after].sort((a, b) => a - b));
    });

    it('lets a read at the end wait for a record, or for the end of its patience', async () => {
      await one(0, ...texts('x', 2));
      const waiting = log.read(0, 2, { ...PAGE, waitMs: 8_000 });
      await one(1, Buffer.from('elsewhere'));
      await one(0, Buffer.from('new'));
      const page = await waiting;
      expect(page.records.map(({ payload }) => payload.toString())).toEqual(['new']);
      expect(page).toMatchObject({ next: 3, start: 0, end: 3 });
      const startedMs = performance.now();
      expect(await log.read(0, 3, { ...PAGE, waitMs: 150 })).toMatchObject({ records: [], next: 3, end: 3 });
      expect(performance.now() - startedMs).toBeGreaterThan(100);
    });

    it('ends a wait before the deadline of its call, with an empty page', async () => {
      const page = await log.read(0, 0, { maxBytes: 1_000, waitMs: 60_000, timeoutMs: 700 });
      expect(page).toEqual({ records: [], next: 0, start: 0, end: 0 });
    });

    it('ends a wait at once when its reader gives up', async () => {
      const giveUp = new AbortController();
      const waiting = rejection(log.read(0, 0, { ...PAGE, waitMs: 8_000, signal: giveUp.signal }));
      giveUp.abort(new Error('enough'));
      expect(await waiting).toEqual(new Error('enough'));
    });

    it('refuses what is not there', async () => {
      await one(0, ...texts('x', 3));
      expect(await rejection(log.read(0, 4, PAGE))).toMatchObject({ code: 'FAILED_PRECONDITION' });
      for (const from of [-1, 0.5]) {
        expect(await rejection(log.read(0, from, PAGE))).toMatchObject({ code: 'INVALID_ARGUMENT' });
      }
      const unknown = [
        () => log.read(4, 0, PAGE),
        () => log.bounds(4, CALL),
        () => log.release(4, 0, CALL),
        () => log.append([{ partition: 4, records: texts('x', 1) }], CALL),
        () => log.append([{ partition: 0, records: [] }], CALL),
      ];
      for (const call of unknown) {
        expect(await rejection(call())).toMatchObject({ code: 'INVALID_ARGUMENT', mayHaveApplied: false });
      }
      expect(await rejection(log.release(0, 4, CALL))).toMatchObject({ code: 'FAILED_PRECONDITION' });
      expect(await log.bounds(0, CALL)).toEqual({ start: 0, end: 3 });
    });

    it('refuses an append that is too large, whole', async () => {
      const large = Array.from({ length: 5 }, () => Buffer.alloc(1_000_000));
      const append = log.append(
        [
          { partition: 0, records: [Buffer.from('small')] },
          { partition: 1, records: large },
        ],
        CALL,
      );
      expect(await rejection(append)).toMatchObject({ code: 'INVALID_ARGUMENT', mayHaveApplied: false });
      expect(await log.bounds(0, CALL)).toEqual({ start: 0, end: 0 });
    });

    it('holds after a kill all that it acknowledged, and is the same log', async () => {
      const { logId } = log.description;
      const acknowledged: number[] = [];
      for (let i = 0; i < 10; i++) {
        const partitions = [0, 1].map((partition) => ({ partition, records: texts(`k${i}`, 4) }));
        await log.append(partitions, CALL);
        acknowledged.push(i);
      }
      const inFlight = [...Array(20).keys()].map((i) =>
        one(2, ...texts(`f${i}`, 3)).then(
          () => acknowledged.push(100 + i),
          () => undefined,
        ),
      );
      await inFlight[0];
      await harness.kill();
      const sure = [...acknowledged];
      log = await harness.open();
      expect(log.description.logId).toBe(logId);
      for (const partition of [0, 1]) {
        expect(await textsOf(log, partition)).toEqual(
          [...Array(10).keys()].flatMap((i) => texts(`k${i}`, 4).map(String)),
        );
      }
      const found = await textsOf(log, 2);
      expect(found.length % 3).toBe(0);
      for (const i of sure.filter((id) => id >= 100)) expect(found).toContain(`f${i - 100}-2`);
      const [run] = await one(2, Buffer.from('on'));
      expect(run).toEqual({ partition: 2, firstOffset: found.length });
    });

    it('is another log after its data are gone', async () => {
      const { logId } = log.description;
      await one(0, ...texts('x', 2));
      await harness.kill();
      await harness.wipe();
      log = await harness.open();
      expect(log.description.logId).not.toBe(logId);
      expect(await log.bounds(0, CALL)).toEqual({ start: 0, end: 0 });
    });

    it('trims what is old and released, and says so to who still asks for it', async () => {
      await harness.kill();
      log = await harness.open({ retention: { ageMs: 40 } });
      for (let i = 0; i < 4; i++) {
        await one(0, ...texts(`r${i}`, 10));
        await harness.pass(5);
      }
      await harness.pass(100);
      await log.release(0, 25, CALL);
      await eventually(async () => (await log.bounds(0, CALL)).start > 0);
      const { start, end } = await log.bounds(0, CALL);
      expect(start).toBeLessThanOrEqual(25);
      expect(end).toBe(40);
      expect((await log.read(0, start, PAGE)).records[0]).toMatchObject({ offset: start });
      expect(await rejection(log.read(0, start - 1, PAGE))).toMatchObject({ code: 'DATA_LOSS' });
      // Nobody released partition 1, and a release never falls.
      await one(1, ...texts('kept', 10));
      await harness.pass(100);
      await log.release(0, 5, CALL);
      await log.release(0, 26, CALL);
      await harness.kill();
      log = await harness.open({ retention: { ageMs: 40 } });
      expect(await log.bounds(1, CALL)).toEqual({ start: 0, end: 10 });
      const later = await log.bounds(0, CALL);
      expect(later.end).toBe(40);
      expect(later.start).toBeGreaterThanOrEqual(start);
      expect(later.start).toBeLessThanOrEqual(26);
      expect((await readAll(log, 0, later.start)).length).toBe(40 - later.start);
    });
  });

  deadLetterConformance(name, makeHarness);
}
