import { describe, expect, it } from 'vitest';
import { decodeRecord, partitionOf } from '../../../../services/event.js';
import { RECORD_SLACK_BYTES } from '../../../../services/processing/config.js';
import { type IntakeOptions, takeIn } from '../../../../services/processing/http/intake.js';

const NOW = Date.UTC(2026, 0, 31);
const DAY_MS = 86_400_000;
const options: IntakeOptions = { idempotencyKey: undefined, nowMs: NOW, partitions: 4 };
const event = (videoId: string, more: object = {}) => ({ videoId, eventType: 'view', ...more });

function idsOf(events: unknown[], more: { idempotencyKey?: string; nowMs?: number }) {
  const { appends } = takeIn(events, { ...options, ...more });
  return appends.flatMap(({ records }) => records.map((record) => decodeRecord(record).recordId)).sort();
}

describe('takeIn', () => {
  it('puts every video into its partition, in order', () => {
    const events = Array.from({ length: 40 }, (_, i) => event(`v${i % 7}`, { value: i }));
    const { appends, accepted, bytes } = takeIn(events, options);
    expect(accepted).toBe(40);
    expect(new Set(appends.map(({ partition }) => partition)).size).toBe(appends.length);
    let size = 0;
    for (const { partition, records } of appends) {
      const decoded = records.map(decodeRecord);
      expect(decoded.map(({ videoId }) => partitionOf(videoId, 4))).toEqual(records.map(() => partition));
      const values = decoded.map(({ value }) => value);
      expect(values).toEqual([...values].sort((a, b) => a - b));
      for (const record of records) size += record.length;
    }
    expect(bytes).toBe(size);
  });

  it('rejects one by one, and takes the others', () => {
    const { accepted, rejected } = takeIn([event('a'), event(''), 7, event('b')], options);
    expect(accepted).toBe(2);
    expect(rejected).toEqual([
      { index: 1, code: 'INVALID_ARGUMENT', message: expect.stringContaining('videoId is empty') },
      { index: 2, code: 'INVALID_ARGUMENT', message: expect.stringContaining('must be an object') },
    ]);
  });

  it('names by eventId first, then by key and index, rejected events counted', () => {
    const events = [event(''), event('a'), event('b', { eventId: 'own' })];
    expect(idsOf(events, { idempotencyKey: 'k' })).toEqual(['b:k:1', 'e:own']);
    expect(idsOf(events, {})).toEqual(['e:own', undefined]);
  });

  it('gives a retry the same ids, whatever the clock says meanwhile', () => {
    const events = [event('late', { timestamp: NOW + DAY_MS + 1 }), event('a'), event('b')];
    const first = idsOf(events, { idempotencyKey: 'k' });
    expect(first).toEqual(['b:k:1', 'b:k:2']);
    expect(idsOf(events, { idempotencyKey: 'k', nowMs: NOW + 1 })).toEqual(['b:k:0', ...first]);
  });

  it('makes of a request no more than its body and a bounded name for each event', () => {
    const digits = Object.fromEntries('abcdefghijklmnop'.split('').map((name) => [name, 0.5]));
    const texts = Object.fromEntries('abcdefghijklmnop'.split('').map((name) => [name, '']));
    for (const more of [
      {},
      { attributes: digits },
      { attributes: texts },
      { value: 2 ** 42 },
      { eventId: 'e' },
    ]) {
      const events = Array.from({ length: 10_000 }, () => ({ videoId: 'v', eventType: 't', ...more }));
      const body = JSON.stringify({ events }).length;
      const { bytes } = takeIn(events, { ...options, idempotencyKey: 'k'.repeat(128) });
      const frame = 4; // of each record, in an append
      expect(bytes + frame * events.length).toBeLessThanOrEqual(body + RECORD_SLACK_BYTES * events.length);
    }
  });

  it('knows whether all accepted events are named', () => {
    const named = event('a', { eventId: 'own' });
    expect(takeIn([named], options).isNamed).toBe(true);
    expect(takeIn([named, event('b')], options).isNamed).toBe(false);
    expect(takeIn([named, event('')], options).isNamed).toBe(true);
    expect(takeIn([event('b')], { ...options, idempotencyKey: 'k' }).isNamed).toBe(true);
  });
});
