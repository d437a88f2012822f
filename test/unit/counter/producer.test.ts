import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INT64_MAX, INT64_MIN, type Int64 } from '../../../counter/int64.js';
import { type Flush, Producer, type Series } from '../../../counter/producer.js';
import type { Granularity } from '../../../counter/window.js';
import { int64 } from './generate.js';
import { CountingTwin, type Message, messagesOf, ReplicaTwin } from './replica-twin.js';

const HOUR = 3_600_000;
const ROLLUPS: Granularity[] = ['total', 'day', 'hour'];
const NONE: ReadonlySet<Series> = new Set();
const ACKED = { failed: NONE, quorum: true };

function idOf(number: number): Buffer {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(number, 2);
  return id;
}

function makeProducer(maxCells = 1000, rollups = ROLLUPS): Producer {
  return new Producer({ rollups, producerId: idOf(1), maxCells });
}

function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

/** Cells of a flush as text: key, granularity, id, count. */
function shown(flush: Flush | undefined): string[] {
  return (flush?.cells ?? []).map(
    ({ series, granularity, producerId, shard }) =>
      `${series.key} ${granularity} ${producerId.readUInt32BE(2)}: ${shard.count}`,
  );
}

type Step =
  | { do: 'add'; key: string; eventType: string; value: number; timestampMs: number }
  | { do: 'flush'; maxCells: number; only: string | undefined }
  | { do: 'settle'; pick: number; arrives: number; acks: number; quorum: boolean }
  | { do: 'duplicate'; pick: number }
  | { do: 'evict'; atMost: number }
  | { do: 'roll' };

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const add = fc.record({
  do: fc.constant('add' as const),
  key,
  eventType: fc.constantFrom('view', 'like'),
  value: fc.integer({ min: -9, max: 9 }),
  timestampMs: fc.integer({ min: -30, max: 30 }).map((hours) => hours * HOUR),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: add },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('flush' as const),
      maxCells: fc.integer({ min: 1, max: 20 }),
      only: fc.option(key, { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      pick: fc.nat(5),
      arrives: fc.nat(255),
      acks: fc.nat(255),
      quorum: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('duplicate' as const), pick: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), atMost: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('roll' as const) }) },
);

/** A producer, a lossy network and a replica, driven step by step. */
class World {
  readonly producer = makeProducer(40);
  readonly replica = new ReplicaTwin();
  readonly twin = new CountingTwin();
  readonly #inFlight: Flush[] = [];
  readonly #sent: Message[] = [];
  #ids = 1;
  refused = 0;
  evicted = 0;

  run(steps: readonly Step[]): void {
    for (const each of steps) this.#step(each);
    while (this.#inFlight.length > 0) this.#settle({ pick: 0, arrives: 255, acks: 0, quorum: true });
    for (let flush = this.producer.takeFlush(7); flush; flush = this.producer.takeFlush(7)) {
      this.#inFlight.push(flush);
      this.#settle({ pick: 0, arrives: 255, acks: 255, quorum: true });
    }
    for (const message of [...this.#sent].reverse()) this.replica.merge(message);
  }

  #step(step: Step): void {
    if (step.do === 'add') this.#add(step);
    if (step.do === 'flush') {
      const { only } = step;
      const flush = this.producer.takeFlush(
        step.maxCells,
        only ? (series) => series.key === only : undefined,
      );
      if (flush) this.#inFlight.push(flush);
    }
    if (step.do === 'settle') this.#settle(step);
    if (step.do === 'duplicate' && this.#sent.length > 0) {
      this.replica.merge(this.#sent[step.pick % this.#sent.length]!);
    }
    if (step.do === 'evict') this.evicted += this.producer.evict(step.atMost);
    if (step.do === 'roll') this.producer.roll(idOf(++this.#ids));
  }

  #add(event: Extract<Step, { do: 'add' }>): void {
    try {
      this.producer.add(event.key, event.eventType, event.value, event.timestampMs);
    } catch (error) {
      expect(error).toMatchObject({ code: 'OVERLOADED' });
      this.refused++;
      return;
    }
    this.twin.add(event, ROLLUPS);
  }

  /** Of a flush's series some arrive, and of these some are acknowledged. */
  #settle(step: Omit<Extract<Step, { do: 'settle' }>, 'do'>): void {
    if (this.#inFlight.length === 0) return;
    const [flush] = this.#inFlight.splice(step.pick % this.#inFlight.length, 1);
    const failed = new Set<Series>();
    let bit = 1;
    for (const [series, messages] of messagesOf(flush!)) {
      const arrived = (step.arrives & bit) !== 0;
      if (arrived) {
        for (const message of messages) this.replica.merge(message);
        this.#sent.push(...messages);
      }
      if (!arrived || (step.acks & bit) === 0) failed.add(series);
      bit = bit === 128 ? 1 : bit * 2;
    }
    this.producer.settle(flush!, { failed, quorum: step.quorum });
  }
}

describe('Producer against a naive twin', () => {
  it('any schedule of adds, flushes, losses, duplicates, reorders, evictions and rolls counts exactly', () => {
    let [refused, evicted] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), (steps) => {
        const world = new World();
        world.run(steps);
        expect(world.replica.faults).toEqual([]);
        expect(world.replica.values()).toEqual(world.twin.values());
        expect(world.producer.dirtySeries).toBe(0);
        refused += world.refused;
        evicted += world.evicted;
        world.producer.roll(idOf(1e6));
        expect(world.producer.cells).toBe(0);
      }),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(0);
    expect(evicted).toBeGreaterThan(0);
  });

  it('values of any int64 are exact, and what would overflow changes nothing', () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(int64, fc.nat(2)), { maxLength: 30 }), (events) => {
        const producer = makeProducer();
        const sums = new Map<string, bigint>();
        const counts = new Map<string, number>();
        for (const [value, hour] of events) {
          const cells = ['total 0', 'day 0', `hour ${hour}`];
          const next = cells.map((cell) => (sums.get(cell) ?? 0n) + BigInt(value));
          const fits = next.every((sum) => sum >= INT64_MIN && sum <= INT64_MAX);
          const before = [producer.cells, producer.dirtySeries];
          const code = codeOf(() => producer.add('k', 't', value, hour * HOUR));
          expect(code).toBe(fits ? undefined : 'OUT_OF_RANGE');
          if (!fits) {
            refused++;
            expect([producer.cells, producer.dirtySeries]).toEqual(before);
            continue;
          }
          cells.forEach((cell, i) => {
            sums.set(cell, next[i]!);
            counts.set(cell, (counts.get(cell) ?? 0) + 1);
          });
        }
        const cells = producer.takeFlush(100)?.cells ?? [];
        expect(cells.length).toBe(sums.size);
        for (const { granularity, window, shard } of cells) {
          const cell = `${granularity} ${window}`;
          expect(BigInt(shard.sum)).toBe(sums.get(cell));
          expect(shard.count).toBe(counts.get(cell));
          expect(typeof shard.sum).toBe(Number.isSafeInteger(Number(shard.sum)) ? 'number' : 'bigint');
        }
      }),
    );
    expect(refused).toBeGreaterThan(0);
  });
});

describe('Producer.add', () => {
  it('refuses an overflow of a coarse cell although the fine ones have room', () => {
    const producer = makeProducer();
    producer.add('k', 't', INT64_MAX, 0);
    const flush = producer.takeFlush(10)!;
    producer.settle(flush, ACKED);
    expect(codeOf(() => producer.add('k', 't', 1, 5 * HOUR))).toBe('OUT_OF_RANGE');
    expect([producer.cells, producer.dirtySeries, producer.takeFlush(10)]).toEqual([3, 0, undefined]);
    producer.add('k', 't', -1, 5 * HOUR);
    const sums = producer
      .takeFlush(10)!
      .cells.map(({ granularity, window, shard }) => [granularity, window, shard.sum]);
    expect(sums).toEqual([
      ['total', 0, INT64_MAX - 1n],
      ['day', 0, INT64_MAX - 1n],
      ['hour', 5, -1],
    ]);
  });

  it('keeps values in normal form: −0 is 0, a small bigint a number', () => {
    const producer = makeProducer(10, ['total']);
    producer.add('k', 't', -0, 0);
    producer.add('l', 't', 7n, 0);
    const [zero, seven] = producer.takeFlush(10)!.cells;
    expect(Object.is(zero!.shard.sum, 0) && Object.is(zero!.shard.min, 0)).toBe(true);
    expect(seven!.shard.sum).toBe(7);
  });

  it.each([
    [1.5, 0],
    [Number.NaN, 0],
    [1, Number.NaN],
    [1, Infinity],
  ] as [Int64, number][])('refuses value %s at time %s before anything changed', (value, timestampMs) => {
    const producer = makeProducer();
    expect(codeOf(() => producer.add('k', 't', value, timestampMs))).toBe('INVALID_ARGUMENT');
    expect([producer.cells, producer.dirtySeries]).toEqual([0, 0]);
    producer.add('k', 't', 2, 0);
    expect(codeOf(() => producer.add('k', 't', value, timestampMs))).toBe('INVALID_ARGUMENT');
    expect(shown(producer.takeFlush(10))).toEqual(['k total 1: 1', 'k day 1: 1', 'k hour 1: 1']);
  });

  it('refuses what would pass maxCells, whole, and goes on with cells in memory', () => {
    const producer = makeProducer(5);
    producer.add('k', 't', 1, 0);
    expect(codeOf(() => producer.add('l', 't', 1, 0))).toBe('OVERLOADED');
    expect(producer.cells).toBe(3);
    producer.add('k', 't', 1, 30 * HOUR);
    expect(producer.cells).toBe(5);
    producer.add('k', 't', 1, 0);
    expect(codeOf(() => producer.add('k', 't', 1, HOUR))).toBe('OVERLOADED');
    expect(shown(producer.takeFlush(10))[0]).toBe('k total 1: 3');
  });
});

describe('Producer flushes', () => {
  it('takes whole series in order of becoming dirty, with one growing sequence', () => {
    const producer = makeProducer();
    for (const each of ['x', 'y', 'z', 'x']) producer.add(each, 't', 1, 0);
    expect(producer.dirtySeries).toBe(3);
    const first = producer.takeFlush(4)!;
    expect([first.sequence, first.series.map((series) => series.key)]).toEqual([1, ['x', 'y']]);
    const second = producer.takeFlush(4)!;
    expect([second.sequence, second.series.map((series) => series.key)]).toEqual([2, ['z']]);
    expect([producer.takeFlush(4), producer.nextSequence]).toEqual([undefined, 3]);
  });

  it('leaves what `only` refuses in its place', () => {
    const producer = makeProducer(1000, ['total']);
    for (const each of ['p', 'q', 'r', 's']) producer.add(each, 't', 1, 0);
    expect(shown(producer.takeFlush(1, ({ key: k }) => k === 'r'))).toEqual(['r total 1: 1']);
    expect(producer.takeFlush(9, () => false)).toBeUndefined();
    expect(shown(producer.takeFlush(9))).toEqual(['p total 1: 1', 'q total 1: 1', 's total 1: 1']);
  });

  it('is a copy: later adds do not change it, and take the series again, whole', () => {
    const producer = makeProducer();
    producer.add('k', 't', 1, 0);
    const first = producer.takeFlush(10)!;
    producer.add('k', 't', 1, HOUR);
    expect(shown(first)).toEqual(['k total 1: 1', 'k day 1: 1', 'k hour 1: 1']);
    const second = producer.takeFlush(10);
    expect(shown(second)).toEqual(['k total 1: 2', 'k day 1: 2', 'k hour 1: 1', 'k hour 1: 1']);
  });

  it('takes again only what is not acknowledged', () => {
    const producer = makeProducer();
    producer.add('k', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, ACKED);
    producer.add('k', 't', 1, HOUR);
    expect(shown(producer.takeFlush(10))).toEqual(['k total 1: 2', 'k day 1: 2', 'k hour 1: 1']);
  });

  it('a failure of an older flush does not matter once a newer one is acknowledged', () => {
    const producer = makeProducer();
    const series = producer.add('k', 't', 1, 0);
    const first = producer.takeFlush(10)!;
    producer.add('k', 't', 1, 0);
    const second = producer.takeFlush(10)!;
    producer.settle(second, ACKED);
    producer.settle(first, { failed: new Set([series]), quorum: true });
    expect([producer.dirtySeries, producer.takeFlush(10)]).toEqual([0, undefined]);
    expect(producer.evict(10)).toBe(3);
  });

  it('an acknowledgement of an older flush does not make newer events clean', () => {
    const producer = makeProducer();
    const series = producer.add('k', 't', 1, 0);
    const first = producer.takeFlush(10)!;
    producer.add('k', 't', 1, 0);
    const second = producer.takeFlush(10)!;
    producer.settle(second, { failed: new Set([series]), quorum: true });
    producer.settle(first, ACKED);
    expect(producer.evict(10)).toBe(0);
    expect(shown(producer.takeFlush(10))).toEqual(['k total 1: 2', 'k day 1: 2', 'k hour 1: 2']);
  });

  it('acknowledgements out of order leave later events to be flushed', () => {
    const producer = makeProducer(100, ['total']);
    producer.add('k', 't', 1, 0);
    const first = producer.takeFlush(10)!;
    producer.add('k', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, ACKED);
    producer.settle(first, ACKED);
    producer.add('k', 't', 1, 0);
    expect(shown(producer.takeFlush(10))).toEqual(['k total 1: 3']);
  });

  it('fails and acknowledges by series', () => {
    const producer = makeProducer(100, ['total']);
    const lost = producer.add('lost', 't', 1, 0);
    producer.add('kept', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, { failed: new Set([lost]), quorum: true });
    expect(shown(producer.takeFlush(10))).toEqual(['lost total 1: 1']);
  });
});

describe('Producer eviction and roll', () => {
  it('evicts only what is acknowledged at QUORUM, and then opens nothing until it rolled', () => {
    const producer = makeProducer(100, ['total']);
    producer.add('one', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, { failed: NONE, quorum: false });
    producer.add('quorum', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, ACKED);
    producer.add('dirty', 't', 1, 0);
    expect([producer.evict(10), producer.cells, producer.needsFreshId]).toEqual([1, 2, true]);
    expect(codeOf(() => producer.add('quorum', 't', 1, 0))).toBe('OVERLOADED');
    expect(() => producer.add('new', 't', 1, 0)).toThrow(/fresh producerId/);
    producer.add('one', 't', 1, 0);
    producer.roll(idOf(2));
    producer.add('quorum', 't', 1, 0);
    expect(producer.needsFreshId).toBe(false);
    expect(shown(producer.takeFlush(10))).toEqual([
      'dirty total 1: 1',
      'one total 1: 2',
      'quorum total 2: 1',
    ]);
  });

  it('does not take a later QUORUM of one cell for a QUORUM of another of its series', () => {
    const producer = makeProducer(100, ['hour']);
    producer.add('k', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, { failed: NONE, quorum: false });
    producer.add('k', 't', 1, HOUR);
    producer.settle(producer.takeFlush(10)!, ACKED);
    expect([producer.evict(10), producer.cells]).toEqual([1, 1]);
    producer.add('k', 't', 1, 0);
    expect(codeOf(() => producer.add('k', 't', 1, HOUR))).toBe('OVERLOADED');
  });

  it('evicts no more than asked', () => {
    const producer = makeProducer(100, ['hour']);
    for (let hour = 0; hour < 10; hour++) producer.add('k', 't', 1, hour * HOUR);
    producer.settle(producer.takeFlush(10)!, ACKED);
    expect([producer.evict(4), producer.cells, producer.evict(0), producer.evict(100)]).toEqual([4, 6, 0, 6]);
    expect(producer.cells).toBe(0);
  });

  it('after a roll flushes the rest under the old id unchanged, and counts on under the new one', () => {
    const producer = makeProducer(100, ['total']);
    producer.add('clean', 't', 1, 0);
    producer.settle(producer.takeFlush(10)!, ACKED);
    const series = producer.add('flight', 't', 1, 0);
    const inFlight = producer.takeFlush(10)!;
    producer.add('dirty', 't', 1, 0);
    producer.roll(idOf(2));
    expect(producer.cells).toBe(2);
    producer.add('dirty', 't', 5, 0);
    expect(shown(producer.takeFlush(10))).toEqual(['dirty total 1: 1', 'dirty total 2: 1']);
    producer.settle(inFlight, { failed: new Set([series]), quorum: true });
    const again = producer.takeFlush(10)!;
    expect(shown(again)).toEqual(['flight total 1: 1']);
    producer.settle(again, ACKED);
    expect(producer.cells).toBe(2); // both of dirty
  });

  it('counts cells of former ids over several rolls until each is acknowledged', () => {
    const producer = makeProducer(3, ['total']);
    producer.add('k', 't', 1, 0);
    producer.roll(idOf(2));
    producer.roll(idOf(3));
    producer.add('k', 't', 1, 0);
    producer.roll(idOf(4));
    expect(producer.cells).toBe(2);
    producer.add('k', 't', 1, 0);
    expect(codeOf(() => producer.add('l', 't', 1, 0))).toBe('OVERLOADED');
    const flush = producer.takeFlush(10)!;
    expect(shown(flush)).toEqual(['k total 1: 1', 'k total 3: 1', 'k total 4: 1']);
    expect(flush.series.length).toBe(1);
    producer.settle(flush, ACKED);
    expect(producer.cells).toBe(1);
    producer.add('l', 't', 1, 0);
  });

  it('rolls only to a younger id', () => {
    const producer = makeProducer();
    for (const id of [idOf(1), idOf(0), Buffer.alloc(8, 9)])
      expect(codeOf(() => producer.roll(id))).toBe('INTERNAL');
    expect(producer.producerId).toEqual(idOf(1));
  });
});
