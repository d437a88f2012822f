import { describe, expect, it } from 'vitest';
import { type ErrorCode, TallyringError } from '../../../../proto/errors.js';
import type { PartitionAppend } from '../../../../services/log/log.js';
import { Appender, type AppenderLimits } from '../../../../services/processing/appender.js';
import { SeededRandom } from '../../../simulation/seeded-random.js';
import { VirtualTime } from '../../../simulation/virtual-time.js';
import { FakeLog } from './fake-log.js';

const LIMITS: AppenderLimits = {
  appendTimeoutMs: 5_000,
  appendCollectMs: 2,
  maxRequestsInFlight: 100,
  maxBytesInFlight: 1_000_000,
};

function opened(limits: Partial<AppenderLimits> = {}) {
  const random = new SeededRandom(1);
  const time = new VirtualTime(random);
  const log = new FakeLog();
  const appender = new Appender({
    log,
    limits: { ...LIMITS, ...limits },
    clock: time.clock(),
    timers: time,
    random,
  });
  return { time, log, appender };
}

const one = (text: string, partition = 0): PartitionAppend[] => [{ partition, records: [Buffer.from(text)] }];
const many = (count: number): PartitionAppend[] => [
  { partition: 1, records: Array.from({ length: count }, (_, i) => Buffer.from(`r${i}`)) },
];

function failing(log: FakeLog, times: number, code: ErrorCode, mayHaveApplied = false): { attempts: number } {
  const seen = { attempts: 0 };
  log.answer = async () => {
    if (++seen.attempts <= times) throw new TallyringError(code, 'no', { mayHaveApplied });
  };
  return seen;
}

describe('Appender', () => {
  it('sends a large request at once, as one append', async () => {
    const { time, log, appender } = opened();
    await time.settle(appender.append(many(513)));
    await time.settle(appender.append(many(513)));
    expect(log.appends).toHaveLength(2);
    expect(time.nowMs).toBe(0);
  });

  it('sends a small one at once, and those that come within 2 ms after it together, in order', async () => {
    const { time, log, appender } = opened();
    await time.settle(Promise.all([appender.append(one('a')), appender.append(one('b'))]));
    expect([log.appends.length, time.nowMs]).toEqual([1, 0]);
    const first = appender.append(one('c'));
    await time.run(1);
    const others = [appender.append(one('d')), appender.append(one('e', 3))];
    expect(log.appends).toHaveLength(1);
    await time.settle(Promise.all([first, ...others]));
    expect(time.nowMs).toBe(2);
    expect(log.appends).toHaveLength(2);
    expect(log.partitions.get(0)!.map(String)).toEqual(['a', 'b', 'c', 'd']);
    expect(log.partitions.get(3)!.map(String)).toEqual(['e']);
    await time.run(2);
    await time.settle(appender.append(one('f')));
    expect([log.appends.length, time.nowMs]).toEqual([3, 4]);
  });

  it('does not wait once enough is collected', async () => {
    const { time, log, appender } = opened();
    await time.settle(Promise.all(Array.from({ length: 16 }, () => appender.append(many(64)))));
    expect(time.nowMs).toBe(0);
    expect(log.records).toHaveLength(1_024);
    await time.settle(appender.append(one('a')));
    expect(log.records).toHaveLength(1_025);
  });

  it('keeps an append within what the log takes at once', async () => {
    const { time, log, appender } = opened({ maxBytesInFlight: 64 * 1024 * 1024 });
    const large = () => one('x'.repeat(64 * 1024));
    await time.settle(Promise.all(Array.from({ length: 40 }, () => appender.append(large()))));
    const sizes = log.appends.map((append) => append[0]!.records.length * 64 * 1024);
    expect(Math.max(...sizes)).toBe(1024 * 1024);
    expect(log.records).toHaveLength(40);
    await time.settle(
      Promise.all([appender.append(one('x'.repeat(256 * 1024 + 1))), appender.append(one('a'))]),
    );
    expect(log.appends.at(-2)![0]!.records).toHaveLength(1);
  });

  it('resolves only when the log has it', async () => {
    const { time, log, appender } = opened();
    let release = () => {};
    log.answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    let done = false;
    const append = appender.append(many(100)).then(() => {
      done = true;
    });
    await time.run(1_000);
    expect(done).toBe(false);
    expect(appender.load.requests).toBe(1);
    release();
    await time.settle(append);
    expect(appender.load).toEqual({ requests: 0, bytes: 0 });
  });

  it('tries again while it is certain that nothing was appended', async () => {
    const { time, log, appender } = opened();
    const seen = failing(log, 3, 'UNAVAILABLE');
    await time.settle(appender.append(many(100)));
    expect(seen.attempts).toBe(4);
    expect(log.records).toHaveLength(100);
  });

  it('gives up at the deadline, with the last error, and tells every attempt what is left', async () => {
    const { time, log, appender } = opened();
    failing(log, Number.POSITIVE_INFINITY, 'UNAVAILABLE');
    const error = await time.settle(appender.append(many(100)).catch((thrown: unknown) => thrown));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
    expect(time.nowMs).toBeLessThanOrEqual(5_000);
    expect(time.nowMs).toBeGreaterThan(3_000);
    expect(log.timeouts[0]).toBe(5_000);
    expect(log.timeouts.at(-1)!).toBeLessThan(2_000);
  });

  const final: [code: ErrorCode, mayHaveApplied: boolean][] = [
    ['UNAVAILABLE', true],
    ['WRITE_TIMEOUT', true],
    ['OVERLOADED', false],
    ['FAILED_PRECONDITION', false],
  ];
  it.each(final)('does not try %s (may have applied: %s) again', async (code, mayHaveApplied) => {
    const { time, log, appender } = opened();
    const seen = failing(log, 9, code, mayHaveApplied);
    const both = [appender.append(one('a')), appender.append(one('b'))];
    const errors = await time.settle(Promise.all(both.map((append) => append.catch((e: unknown) => e))));
    expect(errors).toEqual([
      expect.objectContaining({ code, mayHaveApplied }),
      expect.objectContaining({ code, mayHaveApplied }),
    ]);
    expect(seen.attempts).toBe(1);
  });

  it.each([
    ['requests', { maxRequestsInFlight: 2 }],
    ['bytes', { maxBytesInFlight: 2 }],
  ])('refuses what goes beyond its %s before anything is sent, and goes on later', async (_name, limits) => {
    const { time, log, appender } = opened(limits);
    const taken = [appender.append(one('a')), appender.append(one('b'))];
    await expect(appender.append(one('c'))).rejects.toMatchObject({
      code: 'OVERLOADED',
      mayHaveApplied: false,
    });
    await time.settle(Promise.all(taken));
    expect(log.records.map(String)).toEqual(['a', 'b']);
    await time.settle(appender.append(one('c')));
    expect(log.records.map(String)).toEqual(['a', 'b', 'c']);
  });
});
