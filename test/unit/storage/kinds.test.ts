import fc from 'fast-check';
import { pack } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import type { Int64 } from '../../../counter/int64.js';
import { checkEntry, mergeValues, replaces, sequenceOf } from '../../../node/storage/kinds.js';
import { columnName, compareStamps, decodeColumn, encodeColumn } from '../../../proto/column.js';
import {
  CHECKSUM_BYTES,
  decodeEntryKey,
  type Entry,
  encodeShard,
  KIND,
  sealValue,
  shardKey,
  tokenOf,
} from '../../../proto/entry.js';
import type { TallyringError } from '../../../proto/errors.js';
import { entryOf } from '../../conformance/storage/harness.js';

const sequences = fc.oneof(
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);

describe('sequenceOf', () => {
  it('reads what the encoder wrote, for any size of number', () => {
    fc.assert(
      fc.property(sequences, (sequence) => {
        expect(sequenceOf(entryOf({ sequence }).value)).toBe(sequence);
      }),
    );
  });

  it('refuses what is no shard', () => {
    for (const value of [Buffer.alloc(0), Buffer.from([0x95]), Buffer.alloc(20, 0xc0)]) {
      expect(() => sequenceOf(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('mergeValues', () => {
  const merge = (held: object, incoming: object) => {
    const entry = entryOf(held);
    return mergeValues(entry.key, entry.value, entryOf(incoming).value);
  };

  it('compares sequences as numbers', () => {
    expect(merge({ sequence: 255 }, { sequence: 256 })).toBe('incoming');
    expect(merge({ sequence: 2 ** 33 }, { sequence: 2 ** 32 - 1 })).toBe('held');
    expect(merge({ sequence: 3 }, { sequence: 3 })).toBe('unchanged');
  });

  it('of one sequence keeps the greater count, numbers and bigints alike', () => {
    const big = (2n ** 60n) as Int64;
    expect(merge({ count: 1 }, { count: big })).toBe('conflictIncoming');
    expect(merge({ count: big }, { count: 1 })).toBe('conflictHeld');
  });

  it('of one sequence and count decides the same from both sides', () => {
    expect([merge({ sum: 1 }, { sum: 2 }), merge({ sum: 2 }, { sum: 1 })].sort()).toEqual([
      'conflictHeld',
      'conflictIncoming',
    ]);
  });

  it('has readers see what stores will keep, whichever they meet first', () => {
    const [less, more] = [entryOf({ count: 1 }), entryOf({ count: 2 })];
    expect(replaces(less.key, more.value, less.value)).toBe(true);
    expect(replaces(less.key, less.value, more.value)).toBe(false);
    expect(replaces(less.key, less.value, less.value)).toBe(false);
  });
});

const column = fc.record({
  name: fc.constant('title'),
  timeMs: fc.oneof(fc.nat(3), fc.maxSafeNat()),
  logical: fc.nat(2),
  writer: fc.nat(2).map((byte) => Buffer.alloc(16, byte)),
});
/** One text per stamp, as writers have it. */
const written = column.map((stamp) => {
  const { timeMs, logical, writer } = stamp;
  const text = (timeMs + logical + writer[0]!) % 3 === 0 ? null : `${timeMs}/${logical}/${writer[0]}`;
  return encodeColumn('k', { ...stamp, text });
});

describe('columns', () => {
  const winner = (a: Entry, b: Entry): Entry => {
    const verdict = mergeValues(a.key, a.value, b.value);
    return verdict === 'incoming' || verdict === 'conflictIncoming' ? b : a;
  };

  it('merge in any order, grouping and number to the same one, the latest', () => {
    fc.assert(
      fc.property(written, written, written, (a, b, c) => {
        expect(winner(a, b).value).toEqual(winner(b, a).value);
        expect(winner(winner(a, b), c).value).toEqual(winner(a, winner(b, c)).value);
        expect(mergeValues(a.key, a.value, a.value)).toBe('unchanged');
        const [won, ofA, ofB] = [winner(a, b), a, b].map(({ value }) => decodeColumn(value));
        for (const each of [ofA!, ofB!]) expect(compareStamps(won!, each)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('decide by time first, then by count, then by writer; two texts of one stamp the same everywhere', () => {
    const at = (timeMs: number, logical: number, writer: number, text = 'x') =>
      encodeColumn('k', { name: 'n', timeMs, logical, writer: Buffer.alloc(16, writer), text });
    const merge = (held: Entry, incoming: Entry) => mergeValues(held.key, held.value, incoming.value);
    expect(merge(at(256, 0, 0), at(255, 9, 9))).toBe('held');
    expect(merge(at(5, 1, 9), at(5, 2, 0))).toBe('incoming');
    expect(merge(at(5, 1, 1), at(5, 1, 2))).toBe('incoming');
    expect(
      [merge(at(5, 1, 1, 'a'), at(5, 1, 1, 'b')), merge(at(5, 1, 1, 'b'), at(5, 1, 1, 'a'))].sort(),
    ).toEqual(['conflictHeld', 'conflictIncoming']);
  });

  it('come back from their entries', () => {
    const text = fc.option(fc.string({ unit: 'grapheme', maxLength: 50 }));
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(column, text, name, (stamp, value, called) => {
        const whole = { ...stamp, name: called, text: value };
        const entry = encodeColumn('schlüssel', whole);
        expect(checkEntry(entry)).toEqual({ kind: KIND.column, granularity: 'total' });
        expect({ name: columnName(entry.key), ...decodeColumn(entry.value) }).toEqual(whole);
        expect(decodeEntryKey(entry.key)).toMatchObject({ key: 'schlüssel', eventType: '', producerId: '' });
      }),
    );
  });

  const stamp = { timeMs: 1, logical: 0, writer: Buffer.alloc(16) };
  const good = encodeColumn('k', { name: 'n', text: 'x', ...stamp });
  const withFields = (...fields: unknown[]) => ({ key: good.key, value: sealValue(good.key, pack(fields)) });
  const moved = (key: Buffer) => ({ key, value: sealValue(key, good.value.subarray(0, -8)) });
  const kindAt = good.key.length - 2;
  const hourly = shardKey(
    { key: 'k', eventType: '', granularity: 'hour', window: 0 },
    tokenOf('k'),
    Buffer.alloc(16),
  );
  const ofType = shardKey(
    { key: 'k', eventType: 't', granularity: 'total', window: 0 },
    tokenOf('k'),
    Buffer.alloc(16),
  );
  const asColumn = (shard: Buffer) => {
    const key = Buffer.from(shard);
    key[key.length - 17] = KIND.column;
    return moved(key);
  };
  const cases: [string, Entry][] = [
    ['no name', moved(good.key.subarray(0, kindAt + 1))],
    ['a long name', moved(Buffer.concat([good.key, Buffer.alloc(128, 0x61)]))],
    ['a name that is no UTF-8', moved(Buffer.concat([good.key, Buffer.of(0xff)]))],
    ['a place among hours', asColumn(hourly)],
    ['an eventType', asColumn(ofType)],
    ['three fields', withFields(1, 0, Buffer.alloc(16))],
    ['a time that is none', withFields(-1, 0, Buffer.alloc(16), 'x')],
    ['a fraction', withFields(1, 0.5, Buffer.alloc(16), 'x')],
    ['a short writer', withFields(1, 0, Buffer.alloc(15), 'x')],
    ['a number', withFields(1, 0, Buffer.alloc(16), 7)],
    ['a long text', withFields(1, 0, Buffer.alloc(16), 'x'.repeat(32 * 1024 + 1))],
  ];
  it.each(cases)('are refused with %s', (_what, entry) => {
    expect(() => checkEntry(good)).not.toThrow();
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('checkEntry', () => {
  const good = entryOf({ key: 'k', window: 5 });
  const changedKey = (at: number, by = 1) => {
    const key = Buffer.from(good.key);
    key[at]! ^= by;
    return key;
  };
  const cases: [what: string, entry: { key: Buffer; value: Buffer }, code: string][] = [
    ['no key', { key: Buffer.alloc(0), value: good.value }, 'INVALID_ARGUMENT'],
    ['a newer format', { key: changedKey(0, 3), value: good.value }, 'UNSUPPORTED_FORMAT'],
    ['another token', { key: changedKey(9), value: good.value }, 'INVALID_ARGUMENT'],
    [
      'another producer, same checksum',
      { key: changedKey(good.key.length - 1), value: good.value },
      'INVALID_ARGUMENT',
    ],
    ['no value', { key: good.key, value: Buffer.alloc(0) }, 'INVALID_ARGUMENT'],
    [
      'other fields, well sealed',
      { key: good.key, value: sealValue(good.key, Buffer.from([0x91, 1])) },
      'INVALID_ARGUMENT',
    ],
    [
      'a fraction',
      encodeShard(good.key, { sequence: 1.5, count: 1, sum: 1, min: 1, max: 1 }),
      'INVALID_ARGUMENT',
    ],
  ];
  it.each(cases)('refuses %s', (_what, entry, code) => {
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code }));
  });

  it('judges an entry beside one that passed as it does alone', () => {
    const beside = [
      good,
      entryOf({ key: 'k' }),
      entryOf({ key: 'k', eventType: 'likes' }),
      entryOf({ key: 'kk', window: 5 }),
      entryOf({ key: 'é', window: 5 }),
    ];
    const outcomeOf = (call: () => unknown) => {
      try {
        return call();
      } catch (error) {
        return (error as TallyringError).message;
      }
    };
    const at = fc.tuple(fc.constantFrom(...beside), fc.nat(60), fc.nat(255));
    fc.assert(
      fc.property(at, fc.constantFrom(...beside), ([entry, byte, change], checked) => {
        const key = Buffer.from(entry.key);
        key[byte % key.length]! ^= change;
        // Sealed well: only what the key itself says is to be found.
        const changed = { key, value: sealValue(key, entry.value.subarray(0, -CHECKSUM_BYTES)) };
        expect(outcomeOf(() => checkEntry(changed, checked))).toEqual(outcomeOf(() => checkEntry(changed)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('refuses a kind that this software does not know', () => {
    const key = Buffer.from(good.key.subarray(0, -16));
    key[key.length - 1] = KIND.base;
    const entry = encodeShard(key, { sequence: 1, count: 1, sum: 1, min: 1, max: 1 });
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }));
  });

  it('takes a good one', () => {
    expect(() => checkEntry(good)).not.toThrow();
  });
});
