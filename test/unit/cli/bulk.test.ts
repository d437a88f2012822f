import { describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import type { CellValue } from '../../../counter/shard.js';
import type { CellQuery, Outcome } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import { fakeEnvironment } from './fake-environment.js';

const A = '127.0.0.1:7101';

/** Answers with the number that ends the key; later calls answer sooner. */
function numbers() {
  let calls = 0;
  return async (queries: readonly CellQuery[]): Promise<Outcome<CellValue>[]> => {
    const turns = 50 - Math.min(49, calls++);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    return queries.map(({ key }) => {
      if (key === 'lost')
        return { error: { code: 'DATA_LOSS', message: 'gone', mayHaveApplied: false, retryable: false } };
      const sum = Number(key.slice(1));
      return { ok: { count: 1, sum, min: sum, max: sum } };
    });
  };
}

const lineOf = (i: number) => `{"key":"k${i}","eventType":"view"}\n`;
const answersOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('get -', () => {
  it('answers thousands of lines in order, however the chunks are cut', async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, i) => lineOf(i)).join(''));
    const chunks: Buffer[] = [];
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 13) % 9_973)
      chunks.push(bytes.subarray(at, at + size));
    const environment = fakeEnvironment({ nodes: { [A]: { get: numbers() } }, stdin: chunks });
    expect(await run(['get', '-'], environment)).toBe(0);
    expect(answersOf(environment.stdout.text).map(({ sum }) => sum)).toEqual(
      Array.from({ length: 5_000 }, (_, i) => i),
    );
  });

  it('answers a bad line in its place and exits with 1', async () => {
    const bad: [line: string, message: RegExp][] = [
      ['not json', /^not JSON/],
      ['[1]', /one JSON object/],
      ['{"key":"k1"}', /^eventType is missing; give a string/],
      ['{"key":"","eventType":"view"}', /^key is empty/],
      ['{"key":"\\ud800","eventType":"view"}', /lone surrogate/],
      [
        '{"key":"k1","eventType":"view","colour":1}',
        /unknown field "colour"; allowed: key, eventType, granularity, timestamp/,
      ],
    ];
    for (const [line, message] of bad) {
      const environment = fakeEnvironment({
        nodes: { [A]: { get: numbers() } },
        stdin: [lineOf(1), `${line}\n`, lineOf(2)],
      });
      expect(await run(['get', '-'], environment)).toBe(1);
      const [first, second, third] = answersOf(environment.stdout.text);
      expect([first.sum, third.sum]).toEqual([1, 2]);
      expect(second.line).toBe(2);
      expect(second.error).toEqual({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) });
    }
  });

  it('a line that is too long or not UTF-8 is answered in its place', async () => {
    const stdin = [
      lineOf(1),
      `{"key":"${'x'.repeat(70_000)}`,
      'x'.repeat(200_000),
      '"}\n',
      Buffer.from([0x22, 0xff, 0x0a]),
      lineOf(2),
    ];
    const environment = fakeEnvironment({ nodes: { [A]: { get: numbers() } }, stdin });
    expect(await run(['get', '-'], environment)).toBe(1);
    const answers = answersOf(environment.stdout.text);
    expect(answers.map(({ sum, error }) => sum ?? error.message)).toEqual([
      1,
      'line is longer than 65536 bytes',
      'line is not UTF-8',
      2,
    ]);
  });

  it("a cell's own error stays with its line", async () => {
    const environment = fakeEnvironment({
      nodes: { [A]: { get: numbers() } },
      stdin: [lineOf(1), '{"key":"lost","eventType":"view"}'],
    });
    expect(await run(['get', '-'], environment)).toBe(1);
    expect(answersOf(environment.stdout.text)[1]).toEqual({
      line: 2,
      key: 'lost',
      eventType: 'view',
      error: { code: 'DATA_LOSS', message: 'gone' },
    });
  });

  it('an error says which line, counting blank ones, and key and eventType where they can be read', async () => {
    const stdin = [
      '\n  \n',
      '{"key":"k1","eventType":7}\n',
      '\r\n',
      '{"key":"k1","eventType":"view","x":1}\n\nrubbish',
    ];
    const environment = fakeEnvironment({ nodes: { [A]: { get: numbers() } }, stdin });
    expect(await run(['get', '-'], environment)).toBe(2);
    expect(answersOf(environment.stdout.text).map(({ error: _, ...origin }) => origin)).toEqual([
      { line: 3, key: 'k1' },
      { line: 5, key: 'k1', eventType: 'view' },
      { line: 7 },
    ]);
  });

  it('a line may name its window, else the command line does', async () => {
    const asked: CellQuery[] = [];
    const get = async (queries: readonly CellQuery[]) => {
      asked.push(...queries);
      return queries.map(() => ({ ok: { count: 1, sum: 1, min: 1, max: 1 } }));
    };
    const stdin = [
      '{"key":"k","eventType":"view","granularity":"day","timestamp":"2026-01-02"}\n',
      '{"key":"k","eventType":"view","granularity":"total","timestamp":5}\n',
      '{"key":"k","eventType":"view","timestamp":7}\n',
      '{"key":"k","eventType":"view","granularity":null}\n',
      '{"key":"k","eventType":"view","granularity":"hour","timestamp":"soon"}\n',
    ];
    const environment = fakeEnvironment({ nodes: { [A]: { get } }, stdin });
    const words = ['get', '-', '--granularity', 'hour', '--at', '2026-01-05'];
    expect(await run(words, environment)).toBe(1);
    const cell = { key: 'k', eventType: 'view' };
    expect(asked).toEqual([
      { ...cell, granularity: 'day', timestampMs: Date.UTC(2026, 0, 2) },
      cell,
      { ...cell, granularity: 'hour', timestampMs: 7 },
      { ...cell, granularity: 'hour', timestampMs: Date.UTC(2026, 0, 5) },
    ]);
    expect(answersOf(environment.stdout.text)[4]).toMatchObject({
      line: 5,
      error: { message: expect.stringContaining('timestamp "soon" is no time') },
    });
  });

  it('every line is answered when nobody is there, and the exit code is 3', async () => {
    const environment = fakeEnvironment({ stdin: [lineOf(1), lineOf(2)] });
    expect(await run(['get', '-'], environment)).toBe(3);
    expect(answersOf(environment.stdout.text).map(({ error }) => error.code)).toEqual([
      'UNAVAILABLE',
      'UNAVAILABLE',
    ]);
  });

  it('nothing in, nothing out', async () => {
    const environment = fakeEnvironment();
    expect(await run(['get', '-'], environment)).toBe(0);
    expect(environment.stdout.text).toBe('');
  });

  it('asks in smaller groups when a node refuses a large one', async () => {
    const get = numbers();
    const environment = fakeEnvironment({
      nodes: {
        [A]: {
          get: (queries) =>
            queries.length > 10
              ? Promise.reject(new TallyringError('INVALID_ARGUMENT', 'too many'))
              : get(queries),
        },
      },
      stdin: [Array.from({ length: 100 }, (_, i) => lineOf(i)).join('')],
    });
    expect(await run(['get', '-'], environment)).toBe(0);
    expect(answersOf(environment.stdout.text).map(({ sum }) => sum)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

  it('does not ask again and again what is refused for another reason than size', async () => {
    let calls = 0;
    const get = () => {
      calls++;
      return Promise.reject(new TallyringError('INVALID_ARGUMENT', 'level THREE cannot be met'));
    };
    const stdin = [Array.from({ length: 1_000 }, (_, i) => lineOf(i)).join('')];
    const environment = fakeEnvironment({ nodes: { [A]: { get } }, stdin });
    expect(await run(['get', '-', '--consistency', 'THREE'], environment)).toBe(2);
    expect(answersOf(environment.stdout.text)).toHaveLength(1_000);
    expect(calls).toBeLessThan(10);
  });

  it('int64 is a JSON number while it is safe, else a string of its digits', async () => {
    const value = { count: 3, sum: 2n ** 63n - 1n, min: -(2n ** 53n), max: 2 ** 53 - 1 };
    const environment = fakeEnvironment({
      nodes: { [A]: { get: async () => [{ ok: value }] } },
      stdin: [lineOf(1)],
    });
    expect(await run(['get', '-'], environment)).toBe(0);
    expect(environment.stdout.text).toContain(
      '"count":3,"sum":"9223372036854775807","min":"-9007199254740992","max":9007199254740991',
    );
    expect(answersOf(environment.stdout.text)[0].average).toBe(Number(3074457345618258602n));
  });
});

describe('stats -', () => {
  const node = {
    stats: async (queries: readonly { startMs: number; endMs: number; granularity?: string | undefined }[]) =>
      queries.map(({ startMs, endMs, granularity }) => ({
        ok: {
          startMs,
          endMs,
          granularity: granularity as 'hour' | undefined,
          value: { count: 0, sum: 0, min: null, max: null },
          series: [],
        },
      })),
  };

  it('takes ISO and epoch times, and answers bad lines in place', async () => {
    const lines = [
      '{"key":"k","eventType":"view","start":"2026-01-01T01:00:00+01:00","end":1767229200000}',
      '{"key":"k","eventType":"view","start":"soon","end":0}',
      '{"key":"k","eventType":"view","start":0}',
      '{"key":"k","eventType":"view","start":5,"end":5}',
      '{"key":"k","eventType":"view","start":0,"end":1767229200000,"granularity":"week"}',
      '{"key":"k","eventType":"view","start":0,"end":7200000,"granularity":"hour"}',
    ];
    const environment = fakeEnvironment({ nodes: { [A]: node }, stdin: [lines.join('\n')] });
    expect(await run(['stats', '-'], environment)).toBe(1);
    const answers = answersOf(environment.stdout.text);
    expect(answers[0]).toEqual({
      key: 'k',
      eventType: 'view',
      start: '2026-01-01T00:00:00.000Z',
      end: '2026-01-01T01:00:00.000Z',
      count: 0,
      sum: 0,
      min: null,
      max: null,
      average: null,
    });
    expect(answers.slice(1, 5).map(({ error }) => error.message.slice(0, 20))).toEqual(
      ['start "soon" is no ti', 'start and end are ne', 'end must lie after s', 'unknown granularity '].map(
        (text) => text.slice(0, 20),
      ),
    );
    expect(answers[5].series).toEqual([]);
  });

  it('--fill adds the empty windows, and refuses more than 10,000 in place', async () => {
    const hour = 3_600_000;
    const request = (hours: number) =>
      `{"key":"k","eventType":"view","start":0,"end":${hours * hour},"granularity":"hour"}\n`;
    const environment = fakeEnvironment({ nodes: { [A]: node }, stdin: [request(10_000), request(10_001)] });
    expect(await run(['stats', '-', '--fill'], environment)).toBe(1);
    const [full, refusedOne] = answersOf(environment.stdout.text);
    expect(full.series).toHaveLength(10_000);
    expect(full.series[1]).toEqual({
      start: '1970-01-01T01:00:00.000Z',
      count: 0,
      sum: 0,
      min: null,
      max: null,
    });
    expect(refusedOne.error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('10,001 hour windows'),
    });
  });
});
