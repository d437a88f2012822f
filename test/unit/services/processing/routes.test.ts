import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../../ports/logger.js';
import { realClock, realRandom, realTimers } from '../../../../ports/real.js';
import { type ErrorCode, TallyringError } from '../../../../proto/errors.js';
import { decodeRecord } from '../../../../services/event.js';
import { createHttp } from '../../../../services/http/open-http.js';
import { openApiDocument } from '../../../../services/http/openapi.js';
import { Appender } from '../../../../services/processing/appender.js';
import { processingConfigSchema } from '../../../../services/processing/config.js';
import { intakeMetrics } from '../../../../services/processing/http/metrics.js';
import { writeRoutes } from '../../../../services/processing/http/routes.js';
import { FakeLog } from './fake-log.js';

const NOW = Date.UTC(2026, 0, 31);
const DAY_MS = 86_400_000;

function opened(config: object = {}) {
  const limits = processingConfigSchema.parse({ appendTimeoutMs: 200, ...config });
  const log = new FakeLog();
  const registry = new Registry();
  const appender = new Appender({ log, limits, clock: realClock, timers: realTimers, random: realRandom });
  const described: [string, object][] = [];
  const clock = { nowMs: NOW, wallMs: () => clock.nowMs, monotonicMs: () => realClock.monotonicMs() };
  const routes = writeRoutes({
    appender,
    columns: {
      async setColumns(key, columns) {
        described.push([key, columns]);
      },
    },
    partitions: log.description.partitions,
    dedupWindow: limits.dedupWindow,
    maxEventsPerRequest: limits.maxEventsPerRequest,
    clock,
    metrics: intakeMetrics(registry, () => appender.load),
  });
  const health = () => ({ serving: true });
  const app = createHttp({
    name: 'test',
    limits: limits.http,
    logger: silentLogger,
    registry,
    health,
    routes,
  });
  async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
    const payload = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await app.inject({
      method: 'POST',
      url: path,
      headers: { 'content-type': 'application/json', ...headers },
      payload,
    });
    return { status: answer.statusCode, json: answer.json(), headers: answer.headers };
  }
  return { log, post, routes, registry, described, clock };
}

const event = (videoId: string, more: object = {}) => ({ videoId, eventType: 'view', ...more });
const recordIds = (log: FakeLog) => log.records.map((record) => decodeRecord(record).recordId).sort();

describe('processEvents', () => {
  it('answers once the log has all of it', async () => {
    const { log, post } = opened();
    const { status, json } = await post('/processEvents', { events: [event('a'), event('b', { value: 7 })] });
    expect(status).toBe(200);
    expect(json).toEqual({
      accepted: 2,
      rejected: [],
      mayCountTwice: true,
      retry: 'may count twice',
      dedupWindow: 100_000,
    });
    const records = log.records.map(decodeRecord);
    expect(records.map(({ videoId, value, timestampMs }) => [videoId, value, timestampMs]).sort()).toEqual([
      ['a', 1, NOW],
      ['b', 7, NOW],
    ]);
  });

  it('rejects one by one', async () => {
    const { log, post } = opened();
    const events = [event('a'), event('b', { timestamp: NOW + 2 * DAY_MS }), event('c', { colour: 'red' })];
    const { status, json } = await post('/processEvents', { events }, { 'idempotency-key': 'k' });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      accepted: 1,
      mayCountTwice: false,
      retry: 'counts once within dedupWindow',
      rejected: [
        { index: 1, code: 'INVALID_ARGUMENT', message: expect.stringContaining('more than 24 hours ahead') },
        { index: 2, code: 'INVALID_ARGUMENT', message: expect.stringContaining('unknown field "colour"') },
      ],
    });
    expect(log.records).toHaveLength(1);
  });

  it('appends nothing for nothing', async () => {
    const { log, post } = opened();
    expect((await post('/processEvents', { events: [] })).json).toMatchObject({
      accepted: 0,
      mayCountTwice: false,
    });
    expect((await post('/processEvents', { events: [{}] })).json).toMatchObject({ accepted: 0 });
    expect(log.appends).toEqual([]);
  });

  it('gives a retry the same ids after a lost answer, though the clock has moved on', async () => {
    const { log, post, clock } = opened();
    const events = [
      event('late', { timestamp: NOW + DAY_MS + 1 }),
      event('a'),
      event('b', { eventId: 'own' }),
    ];
    const send = () => post('/processEvents', { events }, { 'idempotency-key': 'k' });
    await send();
    expect(recordIds(log)).toEqual(['b:k:1', 'e:own']);
    clock.nowMs += 1;
    await send();
    expect(recordIds(log)).toEqual(['b:k:0', 'b:k:1', 'b:k:1', 'e:own', 'e:own']);
  });

  it('counts what it took and refused', async () => {
    const { post, registry } = opened();
    await post('/processEvents', { events: [event('a'), event('b'), event('')] });
    const text = await registry.metrics();
    expect(text).toContain('tallyring_events_accepted_total 2');
    expect(text).toContain('tallyring_events_rejected_total 1');
    expect(text).toContain('tallyring_log_requests_waiting 0');
  });
});

describe('a log that fails', () => {
  const named = { 'idempotency-key': 'k' };
  const table: [
    code: ErrorCode,
    mayHaveApplied: boolean,
    headers: Record<string, string>,
    status: number,
    retryable: boolean,
    message: string,
  ][] = [
    ['OVERLOADED', false, {}, 503, true, 'nothing was taken; the same request may be sent again'],
    [
      'UNAVAILABLE',
      true,
      named,
      503,
      true,
      'send the same request again: it counts once within the dedupWindow of 100000',
    ],
    [
      'UNAVAILABLE',
      true,
      {},
      503,
      false,
      'sent again they may count twice; give eventIds or an Idempotency-Key',
    ],
    ['WRITE_TIMEOUT', true, named, 504, true, 'it counts once'],
    ['WRITE_TIMEOUT', true, {}, 504, false, 'IN DOUBT'],
    ['FAILED_PRECONDITION', false, {}, 503, true, 'another log; nothing was taken'],
  ];
  it.each(table)(
    '%s (may have applied: %s, %o)',
    async (code, mayHaveApplied, headers, status, retryable, text) => {
      const { log, post } = opened();
      log.answer = async () => {
        throw new TallyringError(code, 'another log', { mayHaveApplied });
      };
      const answer = await post('/processEvents', { events: [event('a')] }, headers);
      expect(answer.status).toBe(status);
      expect(answer.json.error).toMatchObject({
        mayHaveApplied,
        retryable,
        message: expect.stringContaining(text),
      });
      if (status === 503) expect(answer.headers['retry-after']).toBe('1');
    },
  );

  it('is tried again for as long as nothing was appended', async () => {
    const { log, post } = opened();
    let attempts = 0;
    log.answer = async () => {
      if (++attempts < 3) throw new TallyringError('UNAVAILABLE', 'restarting', { mayHaveApplied: false });
    };
    expect((await post('/processEvents', { events: [event('a')] })).status).toBe(200);
    expect(log.records).toHaveLength(1);
  });

  it('with too much on its way to it, refuses before anything is applied', async () => {
    const { log, post } = opened({ maxRequestsInFlight: 1 });
    let release = () => {};
    const entered = new Promise<void>((enter) => {
      log.answer = () =>
        new Promise((resolve) => {
          release = resolve;
          enter();
        });
    });
    const first = post('/processEvents', { events: [event('a')] });
    await entered;
    const second = await post('/processEvents', { events: [event('b')] });
    expect(second.status).toBe(503);
    expect(second.json.error).toMatchObject({ code: 'OVERLOADED', mayHaveApplied: false, retryable: true });
    release();
    expect((await first).status).toBe(200);
    expect(log.records).toHaveLength(1);
  });
});

describe('countEvent', () => {
  it('counts one', async () => {
    const { log, post } = opened();
    const { status, json } = await post('/countEvent', event('a', { eventId: 'own' }));
    expect(status).toBe(200);
    expect(json).toMatchObject({ accepted: 1, rejected: [], mayCountTwice: false });
    await post('/countEvent', event('a'), { 'idempotency-key': 'k' });
    expect(recordIds(log)).toEqual(['b:k:0', 'e:own']);
  });

  it('refuses as a whole', async () => {
    const { log, post } = opened();
    const { status, json } = await post('/countEvent', event('a', { value: '5' }));
    expect(status).toBe(400);
    expect(json.error.message).toContain('value must be an integer');
    expect(log.appends).toEqual([]);
  });

  it('goes together with others of the same moment', async () => {
    const { log, post } = opened({ appendCollectMs: 20 });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => post('/countEvent', event(`v${i}`))),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(log.records).toHaveLength(20);
    expect(log.appends.length).toBeLessThan(20);
  });
});

describe('describeVideo', () => {
  it('sets columns', async () => {
    const { post, described } = opened();
    const body = { videoId: 'a', columns: { name: 'Cats', channel: null } };
    expect(await post('/describeVideo', body)).toMatchObject({
      status: 200,
      json: { videoId: 'a', columns: 2 },
    });
    expect(described).toEqual([['a', { name: 'Cats', channel: null }]]);
  });
});

describe('bad input', () => {
  const many = (count: number) => ({ events: Array.from({ length: count }, () => event('a')) });
  const large = { events: [event('a', { attributes: { a: 'x'.repeat(3 * 1024 * 1024) } })] };
  const table: [
    name: string,
    path: string,
    body: unknown,
    status: number,
    message: string,
    headers?: Record<string, string>,
  ][] = [
    ['an unknown field', '/processEvents', { events: [], colour: 1 }, 400, 'unknown field "colour"'],
    ['no events', '/processEvents', {}, 400, 'field events is missing'],
    ['events of another type', '/processEvents', { events: 'a' }, 400, 'field events must be a list'],
    ['a list', '/processEvents', [event('a')], 400, 'the body must be an object, not a list'],
    [
      'too many events',
      '/processEvents',
      many(10_001),
      400,
      'at most 10000 events a request (maxEventsPerRequest)',
    ],
    ['a large body', '/processEvents', large, 413, 'more than 2097152 bytes'],
    ['malformed JSON', '/processEvents', '{"events": [', 400, 'the body is not JSON: it ends too early'],
    ['an empty body', '/processEvents', '', 400, 'the body is empty'],
    [
      'another content type',
      '/processEvents',
      'a=1',
      415,
      'application/json',
      { 'content-type': 'text/plain' },
    ],
    [
      'a bad key',
      '/processEvents',
      many(1),
      400,
      'header idempotency-key must be 1 to 128',
      { 'idempotency-key': 'a b' },
    ],
    ['a long key', '/countEvent', event('a'), 400, '1 to 128', { 'idempotency-key': 'x'.repeat(129) }],
    ['a parameter', '/processEvents?colour=red', many(1), 400, 'unknown query parameter "colour"'],
    ['one event as a list', '/countEvent', [event('a')], 400, 'an event must be an object'],
    ['a far past', '/countEvent', event('a', { timestamp: 0 }), 400, 'lies before 2000-01-01'],
    ['a far future', '/countEvent', event('a', { timestamp: '2999-01-01' }), 400, 'more than 24 hours ahead'],
    ['no columns', '/describeVideo', { videoId: 'a', columns: {} }, 400, 'name at least one column'],
    [
      'columns of another type',
      '/describeVideo',
      { videoId: 'a', columns: { name: 7 } },
      400,
      'columns.name',
    ],
    ['an empty video', '/describeVideo', { videoId: '', columns: { a: 'b' } }, 400, 'videoId is empty'],
    [
      'nothing there',
      '/countEvents',
      event('a'),
      404,
      'POST /processEvents, POST /countEvent, POST /describeVideo',
    ],
  ];
  it.each(table)('%s', async (_name, path, body, status, message, headers = {}) => {
    const { log, post, described } = opened();
    const answer = await post(path, body, headers);
    expect(answer.status).toBe(status);
    expect(answer.json.error.message).toContain(message);
    expect(answer.json.error.mayHaveApplied).toBe(false);
    expect(log.appends).toEqual([]);
    expect(described).toEqual([]);
  });
});

it('is described for OpenAPI, with examples that work', async () => {
  const { routes, post } = opened();
  const document = openApiDocument({ title: 't', version: '1', description: 'd', routes });
  const paths = document.paths as Record<
    string,
    { post: { requestBody: { content: Record<string, { example: unknown; schema: object }> } } }
  >;
  expect(Object.keys(paths)).toEqual(['/processEvents', '/countEvent', '/describeVideo']);
  for (const [path, { post: operation }] of Object.entries(paths)) {
    const { example } = operation.requestBody.content['application/json']!;
    expect((await post(path, example)).status).toBe(200);
  }
  expect(paths['/countEvent']!.post.requestBody.content['application/json']!.schema).toMatchObject({
    required: ['videoId', 'eventType'],
    properties: { eventId: { type: 'string' } },
  });
});
