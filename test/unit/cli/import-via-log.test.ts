import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Environment, HttpAnswer } from '../../../cli/environment.js';
import { run } from '../../../cli/program.js';
import { TallyringError } from '../../../proto/errors.js';
import { takeIn } from '../../../services/processing/http/intake.js';
import { type FakeEnvironment, fakeEnvironment, refused } from './fake-environment.js';

const NOW = Date.UTC(2026, 0, 31);
const URL_OPTION = '--url http://h:1';

interface Sent {
  eventId: string;
  videoId: string;
  value: number;
}

/** A processing service that knows events by their names; a test may answer in its place, or lose its answer. */
class FakeService {
  readonly counted = new Map<string, Sent>();
  readonly urls: string[] = [];
  requests = 0;
  before: (events: Sent[]) => Promise<HttpAnswer | undefined> = async () => undefined;
  after: () => Promise<void> = async () => {};

  readonly http: Environment['http'] = async ({ url, body }) => {
    if (body === undefined) return { status: 200, body: { serving: true } };
    this.requests++;
    this.urls.push(url);
    const { events } = JSON.parse(body) as { events: Sent[] };
    const instead = await this.before(events);
    if (instead !== undefined) return instead;
    const { rejected } = takeIn(events, { idempotencyKey: undefined, nowMs: NOW, partitions: 4 });
    const wrong = new Set(rejected.map(({ index }) => index));
    for (const [i, event] of events.entries()) if (!wrong.has(i)) this.counted.set(event.eventId, event);
    await this.after();
    return { status: 200, body: { rejected, dedupWindow: 100_000 } };
  };
}

describe('import --via log', () => {
  let folder: string;
  let service: FakeService;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tallyring-import-'));
    service = new FakeService();
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const line = (i: number, more: object = {}) =>
    `${JSON.stringify({ videoId: `v${i % 10}`, eventType: 'view', timestamp: NOW - i, ...more })}\n`;
  const lines = (count: number) => Array.from({ length: count }, (_, i) => line(i)).join('');
  const written = (text: string, name = 'events.jsonl') => writeFileSync(join(folder, name), text);

  async function imported(words = `events.jsonl ${URL_OPTION}`, parts: { stdin?: string[] } = {}) {
    const environment = fakeEnvironment({ cwd: folder, http: service.http, ...parts });
    const code = await run(['import', '--via', 'log', ...words.split(' '), '--json'], environment);
    return { code, environment, json: JSON.parse(environment.stdout.text) };
  }

  it('sends every event in batches, named by file and line', async () => {
    written(lines(2_500));
    const { code, json } = await imported();
    expect(code).toBe(0);
    expect(json).toMatchObject({ events: 2_500, keys: 10, rejected: 0 });
    expect(json.rerun).toContain('counts nothing twice while fewer than 100,000 records (dedupWindow)');
    expect(service.requests).toBe(3);
    expect(service.counted.size).toBe(2_500);
    const names = [...service.counted.keys()];
    expect(names[0]).toMatch(/^import:[0-9a-f]{16}:1$/);
    expect(names.at(-1)).toMatch(/:2500$/);
  });

  it('gives a rerun the same names, from a later line too, and another file others', async () => {
    written(lines(1_500));
    await imported();
    const names = [...service.counted.keys()];
    await imported();
    await imported(`events.jsonl --from-line 700 ${URL_OPTION}`);
    expect([...service.counted.keys()]).toEqual(names);
    written(lines(1_501));
    await imported();
    expect(service.counted.size).toBe(1_500 + 1_501);
  });

  it('keeps the eventIds that there are', async () => {
    written(line(0, { eventId: 'own', attributes: { country: 'NL' } }) + line(1));
    await imported();
    expect(service.counted.get('own')).toMatchObject({ videoId: 'v0', attributes: { country: 'NL' } });
    expect(service.counted.size).toBe(2);
  });

  it('of standard input, names nothing for a rerun', async () => {
    const stdin = [line(0), line(1)];
    const { json } = await imported(`- ${URL_OPTION}`, { stdin });
    await imported(`- ${URL_OPTION}`, { stdin });
    expect(service.counted.size).toBe(4);
    expect(json.rerun).toContain('is counted again');
  });

  it('sends again what was not answered, under the same names', async () => {
    written(lines(3_000));
    let failures = 0;
    service.before = async () => (++failures % 3 === 0 ? { status: 503, body: {} } : undefined);
    service.after = async () => {
      if (failures % 2 === 0) throw new TallyringError('WRITE_TIMEOUT', 'late');
    };
    const { code, json, environment } = await imported();
    expect(code).toBe(0);
    expect(json).toMatchObject({ events: 3_000, rejected: 0 });
    expect(service.requests).toBeGreaterThan(3);
    expect(service.counted.size).toBe(3_000);
    expect(environment.slept.length).toBe(service.requests - 3);
  });

  it('turns to another instance, and says so when none takes events', async () => {
    written(lines(10));
    let attempts = 0;
    service.before = async () => {
      if (++attempts <= 6) throw refused();
      return undefined;
    };
    const { code, environment } = await imported('events.jsonl --url http://h:1,http://h:2');
    expect(code).toBe(0);
    expect(new Set(service.urls)).toEqual(new Set(['http://h:1/processEvents', 'http://h:2/processEvents']));
    expect(environment.stderr.text).toMatch(/does not take events \(connection refused\); still trying/);
    expect(environment.stderr.text).toContain('the service takes events again');
  });

  it('names the lines that are refused, here or there', async () => {
    written(
      line(0) + line(1, { value: 2 ** 43 }) + line(2, { timestamp: 1 }) + line(3, { eventId: 7 }) + line(4),
    );
    service.before = async (events) => ({
      status: 200,
      body: {
        rejected: [{ index: events.length - 1, code: 'INVALID_ARGUMENT', message: 'not today' }],
        dedupWindow: 9,
      },
    });
    const { code, json } = await imported();
    expect(code).toBe(1);
    expect(json).toMatchObject({
      events: 1,
      rejected: 4,
      reasons: { refused: 3, 'refused by the service': 1 },
    });
    const shown = json.firstRejected as { line: number; message: string }[];
    expect(shown.map(({ line }) => line)).toEqual([2, 3, 4, 5]);
    expect(shown[0]!.message).toContain('within ±2^42');
    expect(shown[3]!.message).toBe('not today');
  });

  it('cuts a batch that is too large for the service, down to the event to blame', async () => {
    written(lines(300));
    service.before = async (events) => {
      if (events.length > 100) return { status: 413, body: {} };
      const isBad = events.some(({ eventId }) => eventId.endsWith(':17'));
      return isBad ? { status: 400, body: { error: { message: 'odd' } } } : undefined;
    };
    const { code, json } = await imported();
    expect(code).toBe(1);
    expect(json).toMatchObject({ events: 299, rejected: 1, firstRejected: [{ line: 17, message: 'odd' }] });
    expect(service.counted.size).toBe(299);
  });

  it('stops at Ctrl-C with what is in doubt, and how to go on', async () => {
    written(lines(20_000));
    let interrupt = () => {};
    let attempts = 0;
    const environment: FakeEnvironment = fakeEnvironment({
      cwd: folder,
      http: async ({ body }) => {
        if (body === undefined) return { status: 200, body: {} };
        if (++attempts === 20) interrupt();
        await new Promise((resolve) => setImmediate(resolve));
        throw refused();
      },
    });
    interrupt = environment.interrupt;
    expect(await run(['import', 'events.jsonl', '--via', 'log', '--url', 'http://h:1'], environment)).toBe(4);
    expect(environment.stdout.text).toMatch(/IN DOUBT: [\d,]+ events not acknowledged by the service/);
    expect(environment.stdout.text).toContain('import events.jsonl --from-line ');
    expect(environment.stdout.text).toContain('--via log --url http://h:1');
    expect(environment.stdout.text).toContain('a rerun of the same file counts nothing twice');
    expect(environment.stdout.text).not.toContain('counts it again');
  }, 20_000);

  const wrong: [words: string, message: string, code: number, status?: number][] = [
    ['events.jsonl --via kafka', '--via "kafka" is unknown', 2],
    ['events.jsonl --url http://h:1', '--url goes with --via log', 2],
    ['events.jsonl --via log --url h:1', 'must be like http://127.0.0.1:7130', 2],
    ['events.jsonl --via log --url http://h:1/x', 'must be like http://127.0.0.1:7130', 2],
    ['events.jsonl --via log --contact h:1', '--contact and --datacenter are for nodes', 2],
    ['events.jsonl --via log --url http://h:1', 'no processing service answers at http://h:1', 3],
    ['events.jsonl --via log --url http://h:1', 'is no processing service (HTTP 404)', 3, 404],
  ];
  it.each(wrong)('%s: %s', async (words, message, code, status) => {
    written(lines(1));
    const http: Environment['http'] = async () => {
      if (status === undefined) throw refused();
      return { status, body: undefined };
    };
    const environment = fakeEnvironment({ cwd: folder, http });
    expect(await run(['import', ...words.split(' ')], environment)).toBe(code);
    expect(environment.stderr.text).toContain(message);
  });
});
