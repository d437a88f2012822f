import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INT64_MAX, INT64_MIN, type Int64, toInt64 } from '../../../counter/int64.js';
import { GRANULARITIES } from '../../../counter/window.js';
import type {
  CellQuery,
  IncrementRequest,
  NodeReport,
  Outcome,
  ProducerShard,
  StatsAnswer,
} from '../../../proto/calls.js';
import type { Column } from '../../../proto/column.js';
import * as convert from '../../../proto/convert.js';
import { columnOutcomesFromWire, columnOutcomesToWire } from '../../../proto/convert-column.js';
import { reportFromWire, reportToWire } from '../../../proto/convert-operator.js';
import * as producer from '../../../proto/convert-producer.js';
import { errorFromData, errorToData, TallyringError } from '../../../proto/errors.js';
import { LEVELS } from '../../../proto/level.js';
import { counterService, Malformed, type Method, operatorService } from '../../../proto/load.js';
import { ALL_CODES, rejection } from './fakes.js';

function requestThroughBytes<R>(
  method: Pick<Method<R, never>, 'requestSerialize' | 'requestDeserialize'>,
  request: R,
): R {
  return method.requestDeserialize(method.requestSerialize(request)) as R;
}
function replyThroughBytes<R>(
  method: Pick<Method<never, R>, 'responseSerialize' | 'responseDeserialize'>,
  reply: R,
): R {
  return method.responseDeserialize(method.responseSerialize(reply)) as R;
}

const int64: fc.Arbitrary<Int64> = fc
  .oneof(
    fc.constantFrom(
      INT64_MAX,
      INT64_MIN,
      0n,
      -1n,
      2n ** 53n,
      -(2n ** 53n),
      2n ** 53n - 1n,
      2n ** 32n,
      2n ** 31n,
    ),
    fc.bigInt({ min: INT64_MIN, max: INT64_MAX }),
  )
  .map((value) => toInt64(value) as Int64);
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const time = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });
const granularity = fc.option(fc.constantFrom(...GRANULARITIES), { nil: undefined });
const value = fc
  .tuple(fc.bigInt({ min: 1n, max: INT64_MAX }), int64, int64, int64)
  .map(([count, sum, min, max]) => ({ count: toInt64(count) as Int64, sum, min, max }));
const anyValue = fc.oneof(value, fc.constant({ count: 0, sum: 0, min: null, max: null }));
const codes = ['UNAVAILABLE', 'OVERLOADED', 'DATA_LOSS'] as const;
const count = fc.option(fc.nat(), { nil: undefined });
const errorData = fc.record({
  code: fc.constantFrom(...codes),
  message: text,
  required: count,
  received: count,
  live: count,
  mayHaveApplied: fc.boolean(),
  retryable: fc.boolean(),
});

describe('conversion through protobuf bytes', () => {
  it('keeps increments, int64 extremes included', () => {
    const request = fc.record({
      key: text,
      eventType: text,
      value: int64,
      timestampMs: fc.option(time, { nil: undefined }),
    });
    fc.assert(
      fc.property(request, fc.constantFrom(...LEVELS), (increment: IncrementRequest, level) => {
        const wire = { ...convert.incrementToWire(increment), consistency: convert.levelToWire(level) };
        const back = requestThroughBytes(counterService.Increment, wire);
        expect(convert.incrementFromWire(back)).toEqual(increment);
        expect(convert.levelFromWire(back.consistency)).toBe(level);
      }),
    );
  });

  it('counts 1 when a plain caller gives no value, at QUORUM when it names no level', () => {
    const bytes = Buffer.from('0a016112017' + '6', 'hex'); // key "a", eventType "v"
    const request = counterService.Increment.requestDeserialize(bytes);
    if (request instanceof Malformed) throw request.error;
    expect(convert.incrementFromWire(request)).toMatchObject({ key: 'a', eventType: 'v', value: 1 });
    expect(convert.levelFromWire(request.consistency)).toBe('QUORUM');
  });

  it('keeps queries', () => {
    const query = fc.record({
      key: text,
      eventType: text,
      granularity,
      timestampMs: fc.option(time, { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(query), (queries: CellQuery[]) => {
        const wire = {
          ...convert.queryToWire({ cells: queries }, 'ONE'),
          id: 2 ** 32 - 1,
          timeoutMs: 2 ** 31 - 1,
        };
        for (const method of [counterService.GetMany, counterService.Query]) {
          const back = requestThroughBytes<typeof wire>(method as typeof counterService.Query, wire);
          expect(back.queries.map(convert.cellQueryFromWire)).toEqual(queries);
          expect(convert.levelFromWire(back.consistency)).toBe('ONE');
          if (method === counterService.Query) {
            expect(back).toMatchObject({ id: wire.id, timeoutMs: wire.timeoutMs });
          }
        }
      }),
    );
  });

  it('keeps values, null min and max, and errors', () => {
    const outcome: fc.Arbitrary<Outcome<Parameters<typeof convert.valueToWire>[0]>> = fc.oneof(
      anyValue.map((ok) => ({ ok })),
      errorData.map((error) => ({ error })),
    );
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const back = replyThroughBytes(counterService.GetMany, convert.cellOutcomesToWire(outcomes));
        expect(convert.cellOutcomesFromWire(back)).toEqual(outcomes);
        const reply = { ...convert.cellOutcomesToWire(outcomes), id: 7 };
        const numbered = replyThroughBytes(counterService.Query, reply);
        expect(convert.cellOutcomesFromWire(numbered)).toEqual(outcomes);
        expect(numbered.id).toBe(7);
      }),
    );
  });

  it('keeps the shards of cells, and the cells that were asked for', () => {
    const address = fc.record({
      key: text,
      eventType: text,
      granularity: fc.constantFrom(...GRANULARITIES),
      window: fc.maxSafeInteger(),
    });
    const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
    const shard = fc
      .tuple(id, fc.maxSafeNat(), anyValue)
      .map(([producerId, sequence, cell]) => ({ producerId, sequence, ...cell }));
    const outcome: fc.Arbitrary<Outcome<ProducerShard[]>> = fc.oneof(
      fc.array(shard).map((ok) => ({ ok })),
      errorData.map((error) => ({ error })),
    );
    fc.assert(
      fc.property(fc.array(address), fc.array(outcome), (cells, outcomes) => {
        const wire = { cells: cells.map(producer.addressToWire), consistency: convert.levelToWire('ONE') };
        const back = requestThroughBytes(counterService.Shards, wire);
        expect(back.cells.map(producer.addressFromWire)).toEqual(cells);
        const reply = replyThroughBytes(counterService.Shards, producer.shardOutcomesToWire(outcomes));
        expect(producer.shardOutcomesFromWire(reply)).toEqual(outcomes);
      }),
    );
  });

  it('keeps columns, deleted and empty ones too', () => {
    const column = fc.record({
      name: text,
      text: fc.option(fc.string({ unit: 'grapheme' })),
      timeMs: fc.maxSafeNat(),
      logical: fc.maxSafeNat(),
      writer: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
    });
    const outcome: fc.Arbitrary<Outcome<Column[]>> = fc.oneof(
      fc.array(column).map((ok) => ({ ok })),
      errorData.map((error) => ({ error })),
    );
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const reply = replyThroughBytes(counterService.Columns, columnOutcomesToWire(outcomes));
        expect(columnOutcomesFromWire(reply)).toEqual(outcomes);
      }),
    );
  });

  it('takes a mint without a kind as the SDK’s, and refuses kinds that it does not know', () => {
    const through = (wire: Parameters<typeof producer.mintFromWire>[0]) =>
      producer.mintFromWire(requestThroughBytes(counterService.MintProducer, wire));
    const above = Buffer.alloc(16, 3);
    expect(
      producer.mintFromWire(counterService.MintProducer.requestDeserialize(Buffer.alloc(0)) as never),
    ).toEqual({
      above: undefined,
      kind: 'sdk',
    });
    expect(through(producer.mintToWire({ above }))).toEqual({ above, kind: 'sdk' });
    expect(through(producer.mintToWire({ kind: 'log' }))).toEqual({ above: undefined, kind: 'log' });
    expect(() => through({ kind: 9 })).toThrow(/kind of producer 9/);
    expect(() => through({ kind: 1, above: Buffer.alloc(3) })).toThrow(/16 bytes/);
  });

  it('keeps stats', () => {
    const answer = fc.record({
      startMs: time,
      endMs: time,
      granularity,
      value: anyValue,
      series: fc.array(fc.record({ startMs: time, value: anyValue })),
    });
    fc.assert(
      fc.property(answer, (stats: StatsAnswer) => {
        const back = replyThroughBytes(counterService.Stats, convert.statsToWire(stats));
        expect(convert.statsFromWire(back)).toEqual(stats);
      }),
    );
  });

  it('keeps a report', () => {
    const ring = {
      cluster: 'c',
      ringEpoch: 3,
      vnodes: 512,
      replication: { dc1: 3 },
      rollups: ['total' as const, 'minute' as const],
      nodes: [
        { nodeId: 'n1', host: '::1', port: 7001, datacenter: 'dc1', rack: 'r1', up: true, status: 'normal' },
      ],
      nodeId: 'n1',
      maxBatchBytes: 4_194_304,
    };
    const report: NodeReport = {
      nodeId: 'n1',
      cluster: 'c',
      version: '0.1.0',
      status: 'recovering',
      waitsFor: 'n2, n3',
      storeId: 'abc',
      storeState: 'failed',
      syncedBatch: 2 ** 52,
      entries: 1_000_000,
      ringEpoch: 3,
      uptimeMs: 12_345,
      memoryBytes: 2 ** 33,
      hints: { n2: 2 ** 40 },
      damagedRows: 2,
      endpoints: [
        {
          nodeId: 'n2',
          up: false,
          convicted: true,
          phi: 8.25,
          generation: 1_700_000_000,
          heartbeat: 77,
          facts: { status: 'normal', load: 0.5, port: 0, host: '' },
        },
      ],
      ownership: { n1: 0.3333 },
      ring,
    };
    const back = replyThroughBytes(operatorService.Report, reportToWire(report));
    expect(reportFromWire(back)).toEqual(report);
  });
});

describe('what protobuf would quietly change', () => {
  const increment = (fields: object) => () =>
    convert.incrementToWire({ key: 'k', eventType: 'v', value: 1, ...fields });
  const table: [string, () => unknown][] = [
    ['NaN', increment({ value: Number.NaN })],
    ['1.5', increment({ value: 1.5 })],
    ['2^63', increment({ value: 2n ** 63n })],
    ['2^53 as a number', increment({ value: 2 ** 53 })],
    ['a time of NaN', increment({ timestampMs: Number.NaN })],
    ['a time of 0.5', increment({ timestampMs: 0.5 })],
    ['a lone surrogate', increment({ key: 'a\ud800' })],
    ['no string', increment({ key: 7 })],
    ['an unknown level', () => convert.levelToWire('MOST' as never)],
    ['an unknown level of a newer caller', () => convert.levelFromWire(42)],
    ['an unknown granularity', () => convert.granularityToWire('year' as never)],
    ['an unknown granularity of a newer caller', () => convert.granularityFromWire(9)],
    ['a time beyond 2^53', () => convert.safeFromWire('start_ms', '9007199254740993')],
    ['a value in min of NaN', () => convert.valueToWire({ count: 1, sum: 1, min: Number.NaN, max: 1 })],
    ['no value', () => convert.valueFromWire(null)],
    ['a negative uint32', () => convert.uint32ToWire('limit', -1)],
  ];
  it.each(table)('refuses %s', async (name, run) => {
    const error = await rejection((async () => run())());
    expect(error.code).toBe(name === '2^63' ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT');
  });
});

describe('average', () => {
  it('is the nearest double', () => {
    expect(convert.averageOf({ count: 3, sum: 10, min: 1, max: 5 })).toBe(10 / 3);
    expect(convert.averageOf({ count: 0, sum: 0, min: null, max: null })).toBeUndefined();
    // 2^53 + 1 has no double; a third of it has one next to it.
    expect(convert.averageOf({ count: 3, sum: 2n ** 53n + 1n, min: 1, max: 1 })).toBe(3002399751580331);
    expect(convert.averageOf({ count: 1, sum: INT64_MIN, min: 1, max: 1 })).toBe(-(2 ** 63));
  });

  it('lies within half a unit in the last place of the exact ratio', () => {
    fc.assert(
      fc.property(value, (cell) => {
        const average = convert.averageOf(cell) as number;
        const exact = (candidate: number): bigint => {
          // |candidate × count − sum| × 2^200, exactly
          const scaled = BigInt(Math.trunc(candidate)) * 2n ** 200n;
          const fraction = fractionBits(candidate - Math.trunc(candidate));
          const difference = (scaled + fraction) * BigInt(cell.count) - BigInt(cell.sum) * 2n ** 200n;
          return difference < 0n ? -difference : difference;
        };
        const here = exact(average);
        const step = Math.max(Math.abs(average) * 2 ** -52, 2 ** -130);
        expect(here <= exact(average + step)).toBe(true);
        expect(here <= exact(average - step)).toBe(true);
      }),
    );
  });
});

/** A fraction in (−1, 1) times 2^200, exactly (doubles of this size have at most 200 binary places). */
function fractionBits(fraction: number): bigint {
  let bits = 0n;
  let rest = fraction;
  for (let i = 0; i < 200 && rest !== 0; i += 20) {
    rest *= 2 ** 20;
    const whole = Math.trunc(rest);
    bits += BigInt(whole) << BigInt(180 - i);
    rest -= whole;
  }
  return bits;
}

describe('errors as data', () => {
  it('keeps every code and fact', () => {
    for (const code of ALL_CODES) {
      const error = new TallyringError(code, 'text', { required: 2, received: 0, live: 1, retryable: true });
      const back = errorFromData(convert.errorFromWire(convert.errorToWire(errorToData(error))));
      expect(errorToData(back)).toEqual(errorToData(error));
    }
  });

  it('makes INTERNAL of a code that it does not know, and says which', () => {
    const wire = { code: 'MELTED', message: 'oh', mayHaveApplied: true, retryable: false };
    expect(convert.errorFromWire(wire)).toMatchObject({
      code: 'INTERNAL',
      message: 'MELTED: oh',
      mayHaveApplied: true,
    });
  });
});
