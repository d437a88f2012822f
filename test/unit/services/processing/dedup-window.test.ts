import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DedupWindow } from '../../../../services/processing/dedup-window.js';

interface Seen {
  offset: number;
  id: string;
}

/** What the window must say, looked up in all records there are. */
function stoodBefore(records: readonly Seen[], at: Seen, window: number): boolean {
  return records.some(({ offset, id }) => id === at.id && offset < at.offset && offset >= at.offset - window);
}

const records = fc
  .array(fc.record({ gap: fc.integer({ min: 1, max: 4 }), id: fc.constantFrom('a', 'b', 'c', 'd') }), {
    maxLength: 60,
  })
  .map((steps) => {
    let offset = 0;
    return steps.map(({ gap, id }) => {
      offset += gap;
      return { id, offset };
    });
  });

describe('DedupWindow', () => {
  it('says what a search of all records would say', () => {
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 12 }), (all, window) => {
        const seen = new DedupWindow(window);
        for (const record of all) {
          expect(seen.note(record.offset, record.id)).toBe(stoodBefore(all, record, window));
        }
      }),
    );
  });

  it('decides the same when it is begun anew with what stands in the window', () => {
    fc.assert(
      fc.property(records, fc.nat(60), fc.integer({ min: 1, max: 12 }), (all, cut, window) => {
        const split = Math.min(cut, all.length);
        const from = all[split]?.offset ?? 0;
        const successor = new DedupWindow(window);
        for (const { offset, id } of all.slice(0, split))
          if (offset >= from - window) successor.note(offset, id);
        for (const record of all.slice(split)) {
          expect(successor.note(record.offset, record.id)).toBe(stoodBefore(all, record, window));
        }
      }),
    );
  });

  it('remembers no more than the window holds', () => {
    const seen = new DedupWindow(100);
    for (let offset = 0; offset < 10_000; offset++) seen.note(offset, `id-${offset}`);
    expect(seen.size).toBeLessThanOrEqual(101);
  });
});
