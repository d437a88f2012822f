import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CellCache, isOneCell } from '../../../node/storage/cell-cache.js';
import {
  type Entry,
  encodeShard,
  periodOf,
  rowPrefix,
  shardKey,
  tokenOf,
  windowPrefix,
} from '../../../proto/entry.js';

const CELLS = [0, 1, 2];
const place = (window: number) => ({ key: 'video', eventType: 'view', granularity: 'hour', window }) as const;
const row = rowPrefix(place(0), periodOf('hour', 0), tokenOf('video'));
const rangeOf = (cell: number) => ({ from: windowPrefix(row, cell), to: windowPrefix(row, cell + 1) });

function entry(cell: number, sequence: number): Entry {
  const key = shardKey(place(cell), tokenOf('video'), Buffer.alloc(16, 1));
  return encodeShard(key, { sequence, count: 1, sum: 1, min: 1, max: 1 });
}

// A read takes what is visible at some moment between its start and its end; a write becomes visible at some
// moment between its start and its end. One write at a time, any number of reads.
type Step =
  | { do: 'read'; cell: number }
  | { do: 'see' | 'finish'; read: number }
  | { do: 'write'; cells: number[] }
  | { do: 'show' | 'done' };

const cell = fc.constantFrom(...CELLS);
const which = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('read' as const), cell }),
  fc.record({ do: fc.constantFrom('see' as const, 'finish' as const), read: which }),
  fc.record({ do: fc.constant('write' as const), cells: fc.uniqueArray(cell, { minLength: 1 }) }),
  fc.record({ do: fc.constantFrom('show' as const, 'done' as const) }),
);

describe('cell cache', () => {
  it('what it gives is what a read of the disk would give now, whatever reads and writes overlap', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new CellCache(10);
        const visible = new Map(CELLS.map((one) => [one, entry(one, 1)]));
        let sequence = 1;
        let writing: { cells: number[]; shown: boolean } | undefined;
        const reads: { cell: number; start: ReturnType<CellCache['begin']>; seen?: Entry }[] = [];
        const show = () => {
          for (const one of writing!.cells) visible.set(one, entry(one, sequence));
          writing!.shown = true;
        };
        for (const one of steps) {
          if (one.do === 'read') reads.push({ cell: one.cell, start: cache.begin() });
          if (one.do === 'see' && reads[one.read])
            reads[one.read]!.seen ??= visible.get(reads[one.read]!.cell)!;
          if (one.do === 'finish' && reads[one.read]) {
            const [read] = reads.splice(one.read, 1);
            cache.remember(rangeOf(read!.cell), [read!.seen ?? visible.get(read!.cell)!], read!.start);
          }
          if (one.do === 'write' && writing === undefined) {
            sequence++;
            writing = { cells: one.cells, shown: false };
            cache.beginCommit(one.cells.map((c) => entry(c, 0).key));
          }
          if (one.do === 'show' && writing?.shown === false) show();
          if (one.do === 'done' && writing !== undefined) {
            if (!writing.shown) show();
            writing = undefined;
            cache.endCommit();
          }
          for (const c of CELLS) {
            const known = cache.get(rangeOf(c));
            if (known !== undefined) expect(known).toEqual([visible.get(c)]);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('knows a cell from a wider range that starts with it', () => {
    expect(isOneCell(rangeOf(4))).toBe(true);
    expect(isOneCell({ from: windowPrefix(row, 4), to: windowPrefix(row, 6) })).toBe(false);
    expect(isOneCell({ from: row, to: windowPrefix(row, 6) })).toBe(false);
    const other = rowPrefix({ ...place(0), key: 'other' }, 0, tokenOf('other'));
    expect(isOneCell({ from: windowPrefix(row, 4), to: windowPrefix(other, 5) })).toBe(false);
  });

  it('remembers again after a commit', () => {
    const cache = new CellCache(10);
    cache.remember(rangeOf(1), [entry(1, 1)], cache.begin());
    cache.beginCommit([entry(1, 2).key]);
    expect(cache.get(rangeOf(1))).toBeUndefined();
    expect(cache.begin()).toBeUndefined();
    cache.endCommit();
    cache.remember(rangeOf(1), [entry(1, 2)], cache.begin());
    expect(cache.get(rangeOf(1))).toHaveLength(1);
  });
});
