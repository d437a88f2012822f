import { describe, expect, it } from 'vitest';
import type { Shard } from '../../../counter/shard.js';
import { type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';
import { History, type IncrementRecord, overlappingLevels, type ReadRecord } from '../history.js';
import { DeadlineWatch } from './deadlines.js';
import { checkEndings } from './endings.js';
import { checkFinalValues } from './final-value.js';
import { LimitWatch } from './limits.js';
import { checkMonotonicReads, checkReadBounds } from './reads.js';
import { checkRefusals } from './refusals.js';
import { checkReplicasEqual } from './replicas-equal.js';
import { VersionWatch } from './versions.js';

const CELL = { key: 'video', eventType: 'view', granularity: 'total', window: 0 } as const;

function shard(producer: number, sequence: number, count: number): Entry {
  const value: Shard = { sequence, count, sum: count, min: 1, max: 1 };
  return encodeShard(shardKey(CELL, tokenOf(CELL.key), Buffer.alloc(16, producer)), value);
}

function increment(over: Partial<IncrementRecord>): IncrementRecord {
  return {
    client: 'c',
    producer: 'sdk',
    key: 'video',
    eventType: 'view',
    value: 1,
    timestampMs: 0,
    level: 'QUORUM',
    impossible: false,
    outcome: 'acknowledged',
    began: 0,
    ended: 1,
    beganMs: 0,
    endedMs: 1,
    ...over,
  };
}

function read(count: number, began: number, ended: number, sum = count): ReadRecord {
  const value = { count, sum, min: 1, max: 1 };
  return { client: 'r', ...CELL, level: 'QUORUM', began, ended, beganMs: began, endedMs: ended, value };
}

function historyOf(increments: IncrementRecord[], reads: ReadRecord[] = []): History {
  const history = new History(() => 0);
  history.increments.push(...increments);
  history.reads.push(...reads);
  return history;
}

describe('the checkers find what they are for', () => {
  it('final value: too little, too much, and nothing when it fits', () => {
    const stores = (count: number) => new Map([['a', [shard(1, 1, count)]]]);
    const check = (count: number, increments: IncrementRecord[]) =>
      checkFinalValues(increments, stores(count), ['total']).length;
    expect(check(2, [increment({}), increment({})])).toBe(0);
    expect(check(1, [increment({}), increment({})])).toBe(1);
    expect(check(3, [increment({}), increment({})])).toBe(1);
    const doubtful = increment({ producer: 'plain', outcome: 'in doubt' });
    expect([check(1, [increment({}), doubtful]), check(2, [increment({}), doubtful])]).toEqual([0, 0]);
    expect(check(3, [increment({}), doubtful])).toBe(1);
    expect(check(1, [increment({}), increment({ outcome: 'not applied' })])).toBe(0);
  });

  it('final value: an increment that a living SDK still waits for counts already', () => {
    const waiting = increment({ outcome: 'waiting', ended: undefined });
    expect(checkFinalValues([waiting], new Map([['a', []]]), ['total'])).toHaveLength(1);
  });

  it('read bounds: an acknowledged increment must be seen, an unattempted one must not', () => {
    const increments = [increment({ began: 0, ended: 1 }), increment({ began: 5, ended: 6 })];
    const check = (one: ReadRecord) => checkReadBounds(historyOf(increments, [one]), ['total']).length;
    expect(check(read(1, 2, 4))).toBe(0);
    expect(check(read(0, 2, 4))).toBe(1);
    expect(check(read(2, 2, 4))).toBe(1);
    expect(check(read(2, 2, 7))).toBe(0);
    expect(check(read(1, 7, 8))).toBe(1);
  });

  it('monotonic reads: only of reads that follow each other', () => {
    const check = (...reads: ReadRecord[]) => checkMonotonicReads(historyOf([], reads)).length;
    expect(check(read(3, 0, 1), read(2, 2, 3))).toBe(1);
    expect(check(read(3, 0, 5), read(2, 2, 6))).toBe(0);
    expect(check(read(2, 0, 1), read(3, 2, 3))).toBe(0);
  });

  it('read bounds: with decrements, between all of the negative and all of the positive ones in doubt', () => {
    const increments = [increment({ value: 5 }), increment({ value: -3, began: 5, ended: 9 })];
    const check = (...of: Parameters<typeof read>) =>
      checkReadBounds(historyOf(increments, [read(...of)]), ['total']).length;
    expect([check(1, 6, 8, 5), check(2, 6, 8, 2)]).toEqual([0, 0]);
    expect([check(2, 6, 8, 6), check(2, 6, 8, 1), check(2, 10, 11, 5)]).toEqual([1, 1, 1]);
  });

  it('monotonic reads: sums as well, but not where something was taken away', () => {
    const reads = [read(3, 0, 1, 9), read(3, 2, 3, 8)];
    const check = (value: number) => checkMonotonicReads(historyOf([increment({ value })], reads)).length;
    expect([check(1), check(-1)]).toEqual([1, 0]);
  });

  it('levels that overlap: those that ask more than half', () => {
    expect([...overlappingLevels({ dc1: 3 })].sort()).toEqual([
      'ALL',
      'EACH_QUORUM',
      'LOCAL_QUORUM',
      'QUORUM',
      'THREE',
      'TWO',
    ]);
    expect([...overlappingLevels({ dc1: 3, dc2: 3 })].sort()).toEqual(['ALL', 'EACH_QUORUM', 'QUORUM']);
  });

  it('refusals: an impossible increment that was acknowledged, and one that was counted', () => {
    const one = increment({ impossible: true });
    expect(checkRefusals([one])).toHaveLength(1);
    expect(checkRefusals([increment({}), increment({ impossible: true, outcome: 'in doubt' })])).toEqual([]);
    expect(checkFinalValues([one], new Map([['a', [shard(1, 1, 1)]]]), ['total'])).toHaveLength(1);
  });

  it('limits: what was once over its limit, told once', () => {
    const watch = new LimitWatch();
    const held = (amount: number) =>
      watch.sampled([{ nodeId: 'a', what: 'hint bytes for b', amount, limit: 10 }]);
    held(10);
    expect(watch.violations).toEqual([]);
    for (const amount of [11, 12, 3]) held(amount);
    expect(watch.violations).toHaveLength(1);
  });

  it('replicas equal: different bytes, too few holders, holders of other nodes', () => {
    const check = (stores: Record<string, Entry[]>) =>
      checkReplicasEqual(new Map(Object.entries(stores)), 2).length;
    const one = shard(1, 1, 1);
    expect(check({ a: [one], b: [one], c: [] })).toBe(0);
    expect(check({ a: [one], b: [shard(1, 2, 2)], c: [] })).toBe(1);
    expect(check({ a: [one], b: [], c: [] })).toBe(1);
    expect(check({ a: [one, shard(2, 1, 1)], b: [one], c: [shard(2, 1, 1)] })).toBe(1);
  });

  it('single writer, growing sequences, and synced state that survives', () => {
    const commit = (watch: VersionWatch, node: string, entry: Entry) => {
      watch.merged(node, [entry]);
      watch.committed(node, [{ key: entry.key, before: undefined, after: entry.value.subarray(-8) }]);
    };
    const checks = (act: (watch: VersionWatch) => void) => {
      const watch = new VersionWatch();
      act(watch);
      return watch.violations.map(({ check }) => check);
    };
    expect(
      checks((watch) => {
        watch.merged('a', [shard(1, 7, 3)]);
        watch.merged('b', [shard(1, 7, 4)]);
      }),
    ).toEqual(['single writer']);
    expect(
      checks((watch) => {
        commit(watch, 'a', shard(1, 7, 3));
        commit(watch, 'a', shard(1, 6, 2));
      }),
    ).toEqual(['sequences grow']);
    const reopen = (forget: boolean) =>
      checks((watch) => {
        commit(watch, 'a', shard(1, 7, 3));
        if (forget) watch.forget('a');
        watch.reopened('a', [shard(1, 6, 2)]);
      });
    expect(reopen(false)).toEqual(['synced state survives']);
    expect(reopen(true)).toEqual([]);
  });

  it('endings: an operation that never ended', () => {
    const history = historyOf([increment({ ended: undefined }), increment({})], [read(1, 0, 1)]);
    expect(checkEndings(history)).toHaveLength(1);
  });

  it('deadlines: a yes that comes after them', () => {
    const told = (method: string, answer: unknown, elapsedMs: number, timeoutMs = 5_000) => {
      const watch = new DeadlineWatch(2_000);
      watch.answered({ nodeId: 'n1', method, answer, elapsedMs, timeoutMs });
      return watch.violations.length;
    };
    const yes = { failures: [] };
    const no = { failures: [{ indexes: [0], error: {} }] };
    expect(told('flush', yes, 1_999)).toBe(0);
    expect(told('flush', yes, 2_100)).toBe(1);
    expect(told('flush', yes, 700, 500)).toBe(1);
    expect(told('flush', no, 9_000)).toBe(0);
    expect(told('get', [{ error: {} }], 9_000)).toBe(0);
    expect(told('get', [{ error: {} }, { ok: {} }], 9_000)).toBe(1);
    expect(told('writeRegister', undefined, 2_100)).toBe(1);
    expect(told('describe', {}, 9_000)).toBe(0);
  });
});
