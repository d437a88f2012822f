import { describe, expect, it } from 'vitest';
import { type Checkpoint, firstCheckpoint } from '../../../client/log-driven/checkpoint.js';
import type { Shard } from '../../../counter/shard.js';
import { type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';
import { type EventRecord, encodeRecord, MAX_AHEAD_MS } from '../../../services/event.js';
import type { LogRecord } from '../../../services/log/log.js';
import type { SentEvent } from '../pipeline/sources.js';
import type { HeldCheckpoint } from '../pipeline/steps.js';
import { checkCheckpoints } from './checkpoints.js';
import { checkPipeline, type PipelineFacts } from './pipeline.js';

const NOW_MS = 1_750_000_000_000;

function event(recordId: string | undefined, over: Partial<EventRecord> = {}): EventRecord {
  const base = { recordId, videoId: 'video', eventType: 'view', attributes: undefined };
  return { ...base, timestampMs: NOW_MS, value: 1, ...over };
}

function logOf(...payloads: Buffer[]): LogRecord[] {
  return payloads.map((payload, offset) => ({ offset, appendedAtMs: NOW_MS, payload }));
}

const logOfIds = (...ids: string[]) => logOf(...ids.map((id) => encodeRecord(event(id))));

function holding(count: number): Map<string, Entry[]> {
  const cell = { key: 'video', eventType: 'view', granularity: 'total', window: 0 } as const;
  const value: Shard = { sequence: 9, count, sum: count, min: 1, max: 1 };
  const entry = encodeShard(shardKey(cell, tokenOf('video'), Buffer.alloc(16, 1)), value);
  return new Map([['node-1', count > 0 ? [entry] : []]]);
}

function found(
  records: LogRecord[],
  count: number,
  over: Partial<PipelineFacts> = {},
  lookBack = 10,
): string[] {
  const rules = [{ from: 0, version: 1, lookBack, lookBackFrom: 0 }];
  const facts: PipelineFacts = {
    partitions: [{ records, rules }],
    dedupWindow: lookBack,
    sent: [],
    deadLetters: [],
    stores: holding(count),
    rollups: ['total'],
    ...over,
  };
  return checkPipeline(facts).map(({ check }) => check);
}

describe('what is found of the pipeline', () => {
  it('a store that holds less, or more, than the log says', () => {
    const records = logOfIds('a', 'b', 'a');
    expect(found(records, 2)).toEqual([]);
    expect(found(records, 1)).toEqual(['the store holds what the log says']);
    expect(found(records, 3)).toEqual(['the store holds what the log says']);
  });

  it('copies by the window of the rule that decides about them, and not before its own start', () => {
    expect(found(logOfIds('a', 'b', 'c', 'a'), 4, {}, 2)).toEqual([]);
    expect(found(logOfIds('a', 'b', 'c', 'a'), 3, {}, 3)).toEqual([]);
    const records = logOfIds('a', 'b', 'c', 'a', 'b');
    const rules = [
      { from: 0, version: 1, lookBack: 3, lookBackFrom: 0 },
      { from: 4, version: 1, lookBack: 9, lookBackFrom: 2 },
    ];
    expect(found(records, 4, { partitions: [{ records, rules }] })).toEqual([]);
  });

  it('rejected records that are no dead letters, and dead letters that should be none', () => {
    const bad = Buffer.from('no event');
    const late = encodeRecord(event('late', { timestampMs: NOW_MS + MAX_AHEAD_MS + 1 }));
    const records = logOf(bad, encodeRecord(event('a')), late, late);
    const letter = ({ offset, appendedAtMs, payload }: LogRecord) => ({
      ...{ partition: 0, offset, appendedAtMs, payload, reason: 'INVALID_ARGUMENT', message: '' },
    });
    const letters = [letter(records[0]!), letter(records[2]!)];
    const check = 'rejected records are dead letters, each once';
    expect(found(records, 1, { deadLetters: letters })).toEqual([]);
    expect(found(records, 1, { deadLetters: letters.slice(1) })).toEqual([check]);
    expect(found(records, 1, { deadLetters: [...letters, letter(records[3]!)] })).toEqual([check]);
    expect(found(records, 1, { deadLetters: [...letters, letter(records[0]!)] })).toEqual([check]);
  });

  it('acknowledged events that are not in the log, and events that count twice', () => {
    const sent = (recordId: string): SentEvent => {
      const one = event(recordId);
      return { event: one, payload: encodeRecord(one), outcome: 'acknowledged' };
    };
    expect(found(logOfIds('a'), 1, { sent: [sent('a'), sent('b')] })).toEqual([
      'acknowledged events are in the log',
    ]);
    const records = logOfIds('a', 'b', 'a');
    const rules = [{ from: 0, version: 1, lookBack: 1, lookBackFrom: 0 }];
    const twice = { partitions: [{ records, rules }], sent: [sent('a')] };
    expect(found(records, 3, twice)).toEqual(['an event counts once']);
  });
});

describe('what is found of checkpoints', () => {
  const wanted = { logId: 'log', version: 1, lookBack: 5 };
  const first = firstCheckpoint(wanted, { start: 0, end: 0 });
  const held = (epoch: number, write: number, change: Partial<Checkpoint>): HeldCheckpoint => {
    const checkpoint = { ...first, producerId: Buffer.alloc(16), ...change };
    return { partition: 0, process: 'p', how: 'written', epoch, write, checkpoint };
  };
  const checks = (...all: HeldCheckpoint[]) => checkCheckpoints(all, []).map(({ check }) => check);

  it('committed that falls, and that moves where no batch ended', () => {
    const [begun, intended, done] = [
      held(1, 1, {}),
      held(1, 2, { end: 4 }),
      held(2, 1, { committed: 4, end: undefined }),
    ];
    expect(checks(done, intended, begun)).toEqual([]);
    expect(checks(begun, done)).toEqual(['a batch is intended before it is committed']);
    expect(checks(begun, intended, done, held(3, 1, { committed: 2 }))).toEqual(['committed never falls']);
  });

  it('a release of what a successor looks at, as far as the owner could know', () => {
    const all = [
      held(1, 1, { committed: 20 }),
      held(1, 2, { committed: 20, end: 30 }),
      held(1, 3, { committed: 30 }),
    ];
    const released = (before: number, known: number) =>
      checkCheckpoints(all, [{ partition: 0, before, known }]).length;
    expect([released(15, 2), released(16, 2), released(25, 3), released(25, 2)]).toEqual([0, 1, 0, 1]);
  });
});
