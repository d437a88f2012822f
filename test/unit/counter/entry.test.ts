import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Flush, FlushCell } from '../../../counter/producer.js';
import { GRANULARITIES } from '../../../counter/window.js';
import { decodeBatch, encodeBatch } from '../../../proto/batch.js';
import {
  decodeEntryKey,
  decodeShard,
  encodeShard,
  isIntact,
  KIND,
  sealValue,
  shardKey,
  tokenOf,
} from '../../../proto/entry.js';
import { encodeFlush } from '../../../proto/flush.js';
import { shard } from './generate.js';

const address = fc
  .record({
    key: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
    eventType: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }),
    granularity: fc.constantFrom(...GRANULARITIES),
    window: fc.oneof(fc.integer({ min: -2000, max: 2000 }), fc.integer({ min: -1.44e11, max: 1.44e11 })),
  })
  .map((each) => ({ ...each, window: each.granularity === 'total' ? 0 : each.window }));
const producerId = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
const entryParts = fc.tuple(address, producerId, shard);

const codeOf = (call: () => unknown): unknown => {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

function sample() {
  const at = { key: 'video', eventType: 'view', granularity: 'hour', window: 472_000 } as const;
  const key = shardKey(at, tokenOf('video'), Buffer.alloc(16, 9));
  return encodeShard(key, { sequence: 7, count: 3, sum: -5, min: -4, max: 1 });
}

describe('entries', () => {
  it('come back from their bytes', () => {
    fc.assert(
      fc.property(entryParts, ([at, id, state]) => {
        const token = tokenOf(at.key);
        const entry = encodeShard(shardKey(at, token, id), state);
        const expected = { ...at, token, kind: KIND.shard, producerId: id.toString('hex') };
        expect(decodeEntryKey(entry.key)).toEqual(expected);
        expect(decodeShard(entry.value)).toEqual(state);
        expect(isIntact(entry)).toBe(true);
      }),
    );
  });

  it('are sealed whatever their length', () => {
    for (const length of [1, 300, 1_500, 4_000, 4_095, 4_096, 9_000]) {
      const { key } = sample();
      const value = sealValue(key, Buffer.alloc(length, 7));
      expect(isIntact({ key, value })).toBe(true);
      value[length - 1]! ^= 1;
      expect(isIntact({ key, value })).toBe(false);
    }
  });

  it('sort by window within a period', () => {
    const key = (window: number) =>
      shardKey({ key: 'k', eventType: 't', granularity: 'hour', window }, 5n, Buffer.alloc(16));
    const windows = [-1000, -769, -768, -1, 0, 1, 767, 768, 472_000];
    const sorted = windows.map(key).sort(Buffer.compare);
    expect(sorted.map((each) => decodeEntryKey(each).window)).toEqual(windows);
  });

  it('refuse a key cut anywhere, or lengthened', () => {
    const { key } = sample();
    for (let length = 0; length < key.length; length++) {
      expect(codeOf(() => decodeEntryKey(key.subarray(0, length)))).toBe('INVALID_ARGUMENT');
    }
    expect(codeOf(() => decodeEntryKey(Buffer.concat([key, Buffer.of(0)])))).toBe('INVALID_ARGUMENT');
  });

  it('refuse a newer format with words, and a wrong granularity, period and kind', () => {
    const changed = (at: number, value: number) => {
      const key = Buffer.from(sample().key);
      key[at] = value;
      return () => decodeEntryKey(key);
    };
    expect(codeOf(changed(0, 2))).toBe('UNSUPPORTED_FORMAT');
    expect(changed(0, 2)).toThrow(/upgrade/);
    expect(codeOf(changed(1, 4))).toBe('INVALID_ARGUMENT');
    expect(codeOf(changed(5, 0))).toBe('INVALID_ARGUMENT');
    for (const kind of [0, 1, 5]) {
      expect(codeOf(changed(sample().key.length - 17, kind))).toBe('INVALID_ARGUMENT');
    }
  });

  it('are not intact with any one bit flipped, or a value cut', () => {
    const { key, value } = sample();
    const all = Buffer.concat([key, value]);
    for (let bit = 0; bit < all.length * 8; bit++) {
      const bytes = Buffer.from(all);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(isIntact({ key: bytes.subarray(0, key.length), value: bytes.subarray(key.length) })).toBe(false);
    }
    for (let length = 0; length < value.length; length++) {
      expect(isIntact({ key, value: value.subarray(0, length) })).toBe(false);
    }
  });

  it('refuse values that are no shard', () => {
    const { key, value } = sample();
    expect(codeOf(() => decodeShard(value.subarray(0, 9)))).toBe('INVALID_ARGUMENT');
    const wrong = [
      { sequence: -1, count: 1, sum: 1, min: 1, max: 1 },
      { sequence: 1, count: 1.5, sum: 1, min: 1, max: 1 },
      { sequence: 1, count: 1, sum: Number.NaN, min: 1, max: 1 },
      { sequence: 1, count: 1, sum: 5n, min: 1, max: 1 },
      { sequence: 1, count: 1, sum: 1, min: '1' as unknown as number, max: 1 },
    ];
    for (const state of wrong) {
      expect(codeOf(() => decodeShard(encodeShard(key, state).value))).toBe('INVALID_ARGUMENT');
    }
  });

  it('travel in batches unchanged; a truncated or newer batch is refused', () => {
    const entries = [sample(), sample()];
    const batch = encodeBatch(entries);
    expect(decodeBatch(batch)).toEqual(entries);
    for (let length = 0; length < batch.length; length++) {
      expect(codeOf(() => decodeBatch(batch.subarray(0, length)))).toBe('INVALID_ARGUMENT');
    }
    const newer = Buffer.from(batch);
    newer[1] = 2;
    expect(codeOf(() => decodeBatch(newer))).toBe('UNSUPPORTED_FORMAT');
  });
});

describe('encodeFlush', () => {
  const row = fc.tuple(
    address,
    fc.array(
      fc.tuple(fc.constantFrom(...GRANULARITIES), fc.integer({ min: -1e6, max: 1e6 }), producerId, shard),
      {
        minLength: 1,
        maxLength: 6,
      },
    ),
  );

  it('makes the same bytes as the plain encoder, in order, over page borders', () => {
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        (rows, repeat) => {
          const cells: FlushCell[] = [];
          const series = rows.map(([{ key, eventType }]) => ({ key, eventType, token: undefined }));
          for (let round = 0; round < repeat; round++) {
            rows.forEach(([, shards], i) => {
              for (const [granularity, index, id, state] of shards) {
                const window = granularity === 'total' ? 0 : index;
                cells.push({ series: series[i]!, granularity, window, producerId: id, shard: state });
              }
            });
          }
          const flush: Flush = { sequence: 1, cells, series };
          const plain = cells.map(
            ({ series: { key, eventType }, granularity, window, producerId: id, shard: state }) =>
              encodeShard(shardKey({ key, eventType, granularity, window }, tokenOf(key), id), state),
          );
          const encoded = encodeFlush(flush);
          expect(encoded.length).toBe(plain.length);
          encoded.forEach((entry, i) => {
            if (!entry.key.equals(plain[i]!.key) || !entry.value.equals(plain[i]!.value))
              expect(entry).toEqual(plain[i]);
          });
          for (const each of series) expect(each.token).toBe(tokenOf(each.key));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes the longest key and event type', () => {
    const series = { key: 'k'.repeat(1024), eventType: 't'.repeat(128), token: undefined };
    const state = { sequence: 1, count: 1, sum: 2n ** 62n, min: -(2n ** 63n), max: 2n ** 62n };
    const cell: FlushCell = {
      series,
      granularity: 'day',
      window: 3,
      producerId: Buffer.alloc(16),
      shard: state,
    };
    for (const entry of encodeFlush({
      sequence: 1,
      cells: new Array<FlushCell>(40).fill(cell),
      series: [series],
    })) {
      expect(isIntact(entry)).toBe(true);
      expect(decodeShard(entry.value)).toEqual(state);
    }
  });
});
