import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completeShard, LogProducer } from '../../../../client/log-driven/log-producer.js';
import type { Counted } from '../../../../client/log-driven/source.js';
import type { FlushCell } from '../../../../counter/producer.js';
import type { Shard } from '../../../../counter/shard.js';

const ROLLUPS = ['total', 'hour'] as const;
const producer = () =>
  new LogProducer({ rollups: ROLLUPS, producerId: Buffer.alloc(16, 1), maxCells: 1_000 });
const nameOf = ({ series, granularity, window }: FlushCell) =>
  `${series.key} ${series.eventType} ${granularity} ${window}`;

const events = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b'),
    eventType: fc.constantFrom('view', 'like'),
    by: fc.integer({ min: -5, max: 5 }),
    timestampMs: fc.integer({ min: 0, max: 3 }).map((hour) => hour * 3_600_000),
  }),
  { maxLength: 30 },
);

function shardsOf(producer: LogProducer, batch: readonly Counted[], end: number): Map<string, Shard> {
  for (const event of batch) producer.add(event);
  const flush = producer.cut(end);
  if (flush !== undefined) producer.settle(flush);
  return new Map(flush?.cells.map((cell) => [nameOf(cell), cell.shard]));
}

describe('a log-driven producer', () => {
  it('leaves the same shards whether it lives on or a successor completes each of its batches', () => {
    fc.assert(
      fc.property(fc.array(events, { minLength: 1, maxLength: 6 }), fc.nat(), (batches, luck) => {
        const living = producer();
        const store = new Map<string, Shard>();
        let end = 0;
        for (const [i, batch] of batches.entries()) {
          end += batch.length + 1;
          const expected = shardsOf(living, batch, end);
          const successor = producer();
          for (const event of batch) successor.add(event);
          for (const cell of successor.cut(end)?.cells ?? []) {
            const name = nameOf(cell);
            // Some shards of the batch were flushed before the predecessor died.
            if ((luck + i) % 3 === 0) store.set(name, expected.get(name)!);
            const completed = completeShard(store.get(name), cell, end);
            expect(completed).toEqual(expected.get(name));
            store.set(name, completed);
          }
        }
      }),
    );
  });

  it('has the end of the batch for a sequence, and flushes what changed in it alone', () => {
    const log = producer();
    log.add({ key: 'a', eventType: 'view', timestampMs: 0 });
    expect([...shardsOf(log, [], 7).values()].map(({ sequence }) => sequence)).toEqual([7, 7]);
    expect(log.cut(8)).toBeUndefined();
    const later = shardsOf(log, [{ key: 'b', eventType: 'view', timestampMs: 0 }], 9);
    expect([...later.keys()]).toEqual(['b view total 0', 'b view hour 0']);
  });

  it('refuses what no rule may give, before anything changes', () => {
    const log = producer();
    for (const by of [1.5, 2 ** 42 + 1, Number.NaN]) {
      expect(() => log.add({ key: 'a', eventType: 'view', by, timestampMs: 0 })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
    expect(log.cells).toBe(0);
  });

  it('makes place for a fresh one before a shard leaves int64', () => {
    const log = producer();
    const most = { key: 'a', eventType: 'view', by: 2 ** 42, timestampMs: 0 };
    expect(log.isNearOverflow).toBe(false);
    let batches = 0;
    for (; !log.isNearOverflow && batches < 5; batches++) {
      for (let i = 0; i < 2 ** 20; i++) log.add(most);
      const flush = log.cut((batches + 1) * 2 ** 20)!;
      log.settle(flush);
    }
    expect(batches).toBe(1);
  });
});
