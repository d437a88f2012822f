import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SinkEvent } from '../../../cli/environment.js';
import { parseEventLine } from '../../../cli/import-line.js';
import { createPace } from '../../../cli/pace.js';
import { run } from '../../../cli/program.js';
import { progressText } from '../../../cli/progress.js';
import { TallyringError } from '../../../proto/errors.js';
import { description, fakeEnvironment, fakeSink } from './fake-environment.js';

const NOW = Date.UTC(2026, 0, 31);

describe('parseEventLine', () => {
  const good: [line: string, event: Omit<SinkEvent, 'line'>][] = [
    [
      '{"videoId":"v","eventType":"view","timestamp":5,"value":3}',
      { key: 'v', eventType: 'view', value: 3, timestampMs: 5 },
    ],
    [
      '{"videoId":"v","eventType":"view","timestamp":-5}',
      { key: 'v', eventType: 'view', value: 1, timestampMs: -5 },
    ],
    [
      '{"timestamp":"2026-01-01T00:00:00.250Z","videoId":"v","eventType":"view","value":-1}',
      { key: 'v', eventType: 'view', value: -1, timestampMs: Date.UTC(2026, 0, 1) + 250 },
    ],
    [
      '{"videoId":"v","eventType":"view","timestamp":0,"value":"9223372036854775807","user":"x"}',
      { key: 'v', eventType: 'view', value: 2n ** 63n - 1n, timestampMs: 0 },
    ],
    [
      '{"videoId":"é","eventType":"view","timestamp":0,"value":2.0}\r',
      { key: 'é', eventType: 'view', value: 2, timestampMs: 0 },
    ],
  ];
  it.each(good)('takes %s', (line, event) => {
    expect(parseEventLine(line, NOW)).toEqual({ event });
  });

  const bad: [line: string, kind: string, message: RegExp][] = [
    ['{"videoId":"v","eventType":', 'not JSON', /JSON/],
    ['null', 'not an object', /one JSON object/],
    ['[]', 'not an object', /one JSON object/],
    ['"text"', 'not an object', /one JSON object/],
    ['{"eventType":"view","timestamp":0}', 'bad videoId', /string/],
    ['{"videoId":7,"eventType":"view","timestamp":0}', 'bad videoId', /string/],
    [`{"videoId":"${'x'.repeat(1025)}","eventType":"view","timestamp":0}`, 'bad videoId', /longer than 1024/],
    ['{"videoId":"\\udc00","eventType":"view","timestamp":0}', 'bad videoId', /surrogate/],
    ['{"videoId":"v","timestamp":0}', 'bad eventType', /string/],
    ['{"videoId":"v","eventType":"","timestamp":0}', 'bad eventType', /empty/],
    ['{"videoId":"v","eventType":"view"}', 'bad timestamp', /timestamp is missing; give epoch/],
    ['{"videoId":"v","eventType":"view","timestamp":1.5}', 'bad timestamp', /1.5 is no time/],
    ['{"videoId":"v","eventType":"view","timestamp":"2026-02-30"}', 'bad timestamp', /is no time/],
    ['{"videoId":"v","eventType":"view","timestamp":1e300}', 'bad timestamp', /is no time/],
    [
      `{"videoId":"v","eventType":"view","timestamp":${NOW + 86_400_001}}`,
      'bad timestamp',
      /more than a day ahead/,
    ],
    ['{"videoId":"v","eventType":"view","timestamp":0,"value":1.5}', 'bad value', /not an integer/],
    [
      '{"videoId":"v","eventType":"view","timestamp":0,"value":9007199254740993}',
      'bad value',
      /not a safe integer/,
    ],
    ['{"videoId":"v","eventType":"view","timestamp":0,"value":1e400}', 'bad value', /not an integer/],
    ['{"videoId":"v","eventType":"view","timestamp":0,"value":null}', 'bad value', /null/],
    [
      '{"videoId":"v","eventType":"view","timestamp":0,"value":"9223372036854775808"}',
      'bad value',
      /64 bits/,
    ],
    ['{"videoId":"v","eventType":"view","timestamp":0,"value":"1e3"}', 'bad value', /64 bits/],
  ];
  it.each(bad)('rejects %s', (line, kind, message) => {
    expect(parseEventLine(line, NOW)).toEqual({
      rejected: { kind, message: expect.stringMatching(message) },
    });
  });
});

describe('import', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tallyring-import-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const line = (i: number) => `{"videoId":"v${i % 10}","eventType":"view","timestamp":${i}}\n`;
  const lines = (count: number) => Array.from({ length: count }, (_, i) => line(i)).join('');

  it.each(['events.jsonl', 'events.jsonl.gz'])('counts %s and sums up', async (name) => {
    writeFileSync(join(folder, name), name.endsWith('.gz') ? gzipSync(lines(2_000)) : lines(2_000));
    const events: SinkEvent[] = [];
    const environment = fakeEnvironment({ cwd: folder, sink: () => fakeSink(events) });
    expect(await run(['import', name, '--json', '--contact', '127.0.0.1:7101'], environment)).toBe(0);
    expect(events.map(({ timestampMs }) => timestampMs)).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
    expect(JSON.parse(environment.stdout.text)).toMatchObject({
      events: 2_000,
      keys: 10,
      lines: 2_000,
      rejected: 0,
      interrupted: false,
    });
  });

  it('counts the rest of a file with bad lines, names them, and exits with 1', async () => {
    const stdin = [line(0), '\n', 'rubbish\n', line(1), '{}\n', 'more rubbish\n', line(2)];
    const events: SinkEvent[] = [];
    const environment = fakeEnvironment({ stdin, sink: () => fakeSink(events) });
    expect(await run(['import', '-'], environment)).toBe(1);
    expect(events).toHaveLength(3);
    expect(environment.stdout.text).toMatch(/^counted 3 events of 3 keys in /);
    expect(environment.stdout.text).toContain('rejected 3 lines: 2 not JSON, 1 bad videoId');
    expect(environment.stdout.text).toMatch(/^ {2}line 3: /m);
    expect(environment.stdout.text).toMatch(/^ {2}line 5: key is missing; give a string/m);
  });

  it('counts what a cut gzip file still holds, and says how far it got', async () => {
    let seed = 1;
    const noise = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed.toString(36);
    };
    const whole = Array.from(
      { length: 20_000 },
      (_, i) => `{"videoId":"${noise()}","eventType":"view","timestamp":${i}}\n`,
    ).join('');
    const packed = gzipSync(whole);
    writeFileSync(join(folder, 'cut.jsonl.gz'), packed.subarray(0, packed.length >> 1));
    const events: SinkEvent[] = [];
    let flushes = 0;
    const sink = () => fakeSink(events, { flush: async () => void flushes++ });
    const environment = fakeEnvironment({ cwd: folder, sink });
    expect(await run(['import', 'cut.jsonl.gz', '--contact', '127.0.0.1:7101'], environment)).toBe(1);
    expect(events.length).toBeGreaterThan(8_000);
    expect(events.length).toBeLessThan(12_000);
    expect(flushes).toBe(1);
    expect(environment.stdout.text).toContain('the gzip file is cut off');
    expect(environment.stdout.text).toContain(
      `tallyring import cut.jsonl.gz --from-line ${events.length + 1} --contact 127.0.0.1:7101\n`,
    );
  });

  it('a damaged gzip file is told from a cut one', async () => {
    // A stored block whose length does not fit its complement, behind ten bytes of header.
    const packed = Buffer.concat([gzipSync(lines(3)).subarray(0, 10), Buffer.alloc(64)]);
    const environment = fakeEnvironment({ stdin: [packed], sink: () => fakeSink([]) });
    expect(await run(['import', '-'], environment)).toBe(1);
    expect(environment.stdout.text).toContain('the gzip file is damaged');
  });

  it('waits when the sink is full', async () => {
    let waiting = 0;
    let most = 0;
    const sink = fakeSink([], {
      count: () => {
        most = Math.max(most, ++waiting);
        return Promise.resolve().then(() => void waiting--);
      },
    });
    const environment = fakeEnvironment({ stdin: [lines(500)], sink: () => sink });
    expect(await run(['import', '-'], environment)).toBe(0);
    expect(most).toBe(1);
  });

  it('what the sink refuses is rejected with its line', async () => {
    const sink = fakeSink([], {
      count: ({ timestampMs }) => {
        if (timestampMs === 1) throw new TallyringError('OUT_OF_RANGE', 'sum would leave int64');
        return undefined;
      },
    });
    const environment = fakeEnvironment({ stdin: [lines(3)], sink: () => sink });
    expect(await run(['import', '-', '--json'], environment)).toBe(1);
    expect(JSON.parse(environment.stdout.text)).toMatchObject({
      events: 2,
      rejected: 1,
      firstRejected: [{ line: 2, message: 'sum would leave int64' }],
    });
  });

  it('an interruption flushes what was taken, says how far it got, and exits with 1', async () => {
    const events: SinkEvent[] = [];
    let flushed = 0;
    const environment = fakeEnvironment({
      stdin: [lines(5_000)],
      sink: () =>
        fakeSink(events, {
          count: (event) => {
            events.push(event);
            if (events.length === 1_234) environment.interrupt();
            return undefined;
          },
          flush: async () => {
            flushed = events.length;
          },
        }),
    });
    expect(await run(['import', '-'], environment)).toBe(1);
    expect(flushed).toBe(1_234);
    expect(environment.stdout.text).toContain(
      'got as far as line 1,234; everything up to there was counted, and a rerun from the start counts it again. Go on with:\n  tallyring import - --from-line 1235\n',
    );
  });

  it('an interrupted import and the command that it names count every event once', async () => {
    writeFileSync(join(folder, "a b's.jsonl.gz"), gzipSync(`rubbish\n\n${lines(3_000)}`));
    const events: SinkEvent[] = [];
    let stopAt = 1_000;
    const environment = fakeEnvironment({
      cwd: folder,
      sink: () =>
        fakeSink(events, {
          count: (event) => {
            events.push(event);
            if (events.length === stopAt) environment.interrupt();
            return undefined;
          },
        }),
    });
    const words = ['import', "a b's.jsonl.gz", '--json', '--contact', '127.0.0.1:7101', '--rate', '1e9'];
    expect(await run(words, environment)).toBe(1);
    const { goOn, nextLine } = JSON.parse(environment.stdout.text);
    expect(nextLine).toBe(1_003);
    expect(goOn).toBe(
      `tallyring import 'a b'\\''s.jsonl.gz' --from-line 1003 --contact 127.0.0.1:7101 --rate 1e9 --json`,
    );
    stopAt = 0;
    expect(await run([...words, '--from-line', String(nextLine)], environment)).toBe(0);
    expect(events.map(({ timestampMs }) => timestampMs)).toEqual(Array.from({ length: 3_000 }, (_, i) => i));
  });

  it('a line that the sink could not take is where to go on', async () => {
    const sink = fakeSink([], {
      count: ({ timestampMs }) => {
        if (timestampMs === 7) throw new TallyringError('CLOSED', 'closed');
        return undefined;
      },
    });
    const environment = fakeEnvironment({ stdin: [lines(20)], sink: () => sink });
    expect(await run(['import', '-', '--json'], environment)).toBe(1);
    expect(JSON.parse(environment.stdout.text)).toMatchObject({ events: 7, broken: 'closed', nextLine: 8 });
  });

  it('--from-line just behind the end is done, further on it says so', async () => {
    const end = fakeEnvironment({ stdin: [lines(3)], sink: () => fakeSink([]) });
    expect(await run(['import', '-', '--from-line', '4'], end)).toBe(0);
    const beyond = fakeEnvironment({ stdin: [lines(3)], sink: () => fakeSink([]) });
    expect(await run(['import', '-', '--from-line', '5'], beyond)).toBe(1);
    expect(beyond.stdout.text).toContain('nothing to count: line 5 is beyond the end (3 lines)');
  });

  it('without a cluster it says so as the other verbs do: 3', async () => {
    const environment = fakeEnvironment({ stdin: [lines(3)] });
    expect(await run(['import', '-'], environment)).toBe(3);
    expect(environment.stderr.text).toMatch(/^tallyring: UNAVAILABLE: no node answers at 127.*npm start/);
  });

  it('what is wrong with a cluster that answers is told as it is', async () => {
    const node = { describe: async () => description(['n1']) };
    const environment = fakeEnvironment({ stdin: [lines(3)], nodes: { '127.0.0.1:7101': node } });
    expect(await run(['import', '-'], environment)).toBe(3);
    expect(environment.stderr.text).toContain('connection refused');
  });

  it('a flush that is not acknowledged in time is awaited again', async () => {
    let flushes = 0;
    const sink = fakeSink([], {
      flush: () =>
        ++flushes < 3 ? Promise.reject(new TallyringError('PENDING', 'not yet')) : Promise.resolve(),
    });
    const environment = fakeEnvironment({ stdin: [lines(3)], sink: () => sink });
    expect(await run(['import', '-'], environment)).toBe(0);
    expect(flushes).toBe(3);
  });

  it('exits with 4 when what was taken stays unacknowledged', async () => {
    const lost = new TallyringError('WRITE_TIMEOUT', 'closed with 1 series not acknowledged');
    const environment = fakeEnvironment({
      stdin: [lines(3)],
      sink: () => fakeSink([], { close: () => Promise.reject(lost) }),
    });
    expect(await run(['import', '-'], environment)).toBe(4);
    expect(environment.stdout.text).toContain('IN DOUBT: closed with 1 series');
  });

  it('tells of nodes going down and up', async () => {
    const environment = fakeEnvironment({
      stdin: [lines(3)],
      sink: ({ onNode }) => {
        onNode('n2', false);
        onNode('n2', true);
        return fakeSink([]);
      },
    });
    expect(await run(['import', '-'], environment)).toBe(0);
    expect(environment.stderr.text).toContain('node n2 is down; counting goes on\nnode n2 is up again\n');
  });
});

describe('createPace', () => {
  it('keeps the rate from the start on', () => {
    const pace = createPace(1_000);
    expect(pace.waitMs(0, 0)).toBe(0);
    expect(pace.waitMs(500, 200)).toBe(300);
    expect(pace.waitMs(500, 500)).toBe(0);
  });

  it('catches up over at most a second after a standstill', () => {
    const pace = createPace(1_000);
    expect(pace.waitMs(100, 60_100)).toBe(0);
    expect(pace.waitMs(1_100, 60_100)).toBe(0);
    expect(pace.waitMs(1_200, 60_100)).toBe(100);
  });
});

it('progress shows events, rate, percent and ETA', () => {
  const state = { events: 12_000, rejected: 3, elapsedMs: 4_000, done: { part: 250, of: 1_000 } };
  expect(progressText(state, 3_000, { noun: 'events', barWidth: 8 })).toBe(
    '[██      ] 12,000 events  3,000/s  3 rejected  25 %  ETA 12.0 s',
  );
});
