import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  MAX_RULES,
} from '../../../../client/log-driven/checkpoint.js';
import { type CorrectionCell, cutCorrections, flushOf } from '../../../../client/log-driven/correction.js';

const MAX_REGISTER_BYTES = 16 * 1024;
const producerId = Buffer.alloc(16, 3);
const rule = { from: 2 ** 50, version: 1, lookBack: 2 ** 40, lookBackFrom: 2 ** 50 };
const checkpoint: Checkpoint = {
  ...{
    logId: 'l'.repeat(64),
    committed: 2 ** 51,
    producerId,
    end: undefined,
    owner: 'o'.repeat(64),
    beat: 2 ** 50,
  },
  rules: Array.from({ length: MAX_RULES }, (_, i) => ({ ...rule, from: rule.from + i })),
};

function cell(number: number, key = 'k'): CorrectionCell {
  const window = -number;
  return {
    key,
    eventType: 'view',
    granularity: 'hour',
    window,
    count: -7,
    sum: 2n ** 60n,
    min: null,
    max: -3,
  };
}

describe('a correction', () => {
  it('stands in the checkpoint as it is', () => {
    const correction = {
      producerId,
      cells: [cell(1), { ...cell(2), granularity: 'total' as const, window: 0 }],
    };
    const held = decodeCheckpoint(encodeCheckpoint({ ...checkpoint, correction }));
    expect(held).toEqual({ ...checkpoint, correction });
  });

  it('is nothing that a software may pass over which does not know it', () => {
    const format = (value: Buffer) => value[1];
    expect(format(encodeCheckpoint(checkpoint))).toBe(1);
    expect(format(encodeCheckpoint({ ...checkpoint, correction: { producerId, cells: [] } }))).toBe(2);
  });

  it('is cut so that it fits into a register, whatever its keys', () => {
    const cells = Array.from({ length: 300 }, (_, i) => cell(i, 'k'.repeat(1 + ((i * 37) % 1_024))));
    const runs = cutCorrections(cells);
    expect(runs.flat()).toEqual(cells);
    expect(runs.length).toBeLessThan(60);
    for (const run of runs) {
      const value = encodeCheckpoint({ ...checkpoint, correction: { producerId, cells: run } });
      expect(value.length).toBeLessThan(MAX_REGISTER_BYTES);
    }
  });

  it('is the same shards whoever writes it, series by series', () => {
    const cells = [cell(1, 'a'), cell(1, 'b'), cell(2, 'a')];
    const { series, cells: written } = flushOf({ producerId, cells });
    expect(written.map(({ series: { key }, window }) => [key, window])).toEqual([
      ['a', -1],
      ['a', -2],
      ['b', -1],
    ]);
    expect(series.map(({ key }) => key)).toEqual(['a', 'b']);
    expect(new Set(written.map(({ shard }) => shard.sequence))).toEqual(new Set([1]));
  });
});
