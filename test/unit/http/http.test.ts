import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, TallyringError } from '../../../proto/errors.js';
import { createHttp } from '../../../services/http/open-http.js';
import { echo, failing, httpOptions, shout, slowRoute, unavailable } from './http-fixture.js';

const json = { 'content-type': 'application/json' };
const app = createHttp(httpOptions([echo, shout]));

async function post(payload: string | Buffer, headers: Record<string, string> = json) {
  const answer = await app.inject({ method: 'POST', url: '/echo', payload, headers });
  return { status: answer.statusCode, error: answer.json().error, body: answer.json() };
}

async function get(url: string) {
  const answer = await app.inject({ method: 'GET', url });
  return { status: answer.statusCode, error: answer.json().error, body: answer.json() };
}

describe('what is asked', () => {
  it('is answered in JSON, integers beyond 2^53 as text', async () => {
    expect((await get('/shout?text=a+b%21')).body).toEqual({
      text: 'A B!',
      beyond: '1152921504606846976',
      within: 7,
    });
    expect((await post('{"text":"a"}')).body).toEqual({ text: 'a' });
    expect((await post('{"text":"a"}', { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(
      200,
    );
  });

  it('names unknown, missing and wrong fields', async () => {
    expect((await get('/shout?text=a&txt=b')).error).toEqual({
      code: 'INVALID_ARGUMENT',
      message: 'unknown query parameter "txt"; there is text',
      mayHaveApplied: false,
      retryable: false,
    });
    expect((await get('/shout')).error.message).toBe('query parameter text is missing');
    expect((await get('/shout?text=a&text=b')).error.message).toContain(
      'query parameter text must be a string, not a list',
    );
    expect((await get('/shout?text=%ff')).error.message).toContain('is not percent-encoded UTF-8');
    expect((await post('{"text":1}')).error.message).toContain('field text must be a string, not 1');
    expect((await post('[]')).error.message).toContain('the body must be an object, not a list');
    const nested = await post('{"text":"a","list":[{"n":1},{"n":1,"m":2}]}');
    expect(nested.error.message).toContain('unknown field "m" in list[1]');
    const poison = await post('{"text":"a","__proto__":{"list":[]}}');
    expect(poison.error.message).toContain('unknown field "__proto__"');
  });

  it('a path that is not there is answered with those that are', async () => {
    const { status, error } = await get('/nowhere?x=1');
    expect(status).toBe(404);
    expect(error).toMatchObject({ code: 'NOT_FOUND' });
    expect(error.message).toBe(
      'there is nothing at "/nowhere"; there is GET /health, GET /metrics, POST /echo, GET /shout',
    );
    expect((await get('/%zz')).status).toBe(400);
  });

  it('a method that is not taken is answered with those that are', async () => {
    const answer = await app.inject({ method: 'DELETE', url: '/echo' });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe('POST');
    expect(answer.json().error).toMatchObject({ code: 'METHOD_NOT_ALLOWED' });
  });
});

describe('a body', () => {
  it.each([
    ['{"text":"a",}', 'at position 12 (line 1, column 13), near "}"'],
    ['{\n"text": trx}', 'at position 12 (line 2, column 11), near "x}"'],
    ['{"text":"a"', 'ends too early, after 11 characters'],
    ['{"text":"a', 'ends too early, after 10 characters'],
    ['hello', 'at position 0 (line 1, column 1), near "hello"'],
    ['', 'the body is empty'],
  ])('that is no JSON is shown where: %s', async (payload, words) => {
    const { status, error } = await post(payload);
    expect(status).toBe(400);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain(words);
  });

  it('of another type, charset or encoding is refused', async () => {
    const { status, error } = await post('a,b', { 'content-type': 'text/csv' });
    expect(status).toBe(415);
    expect(error.code).toBe('UNSUPPORTED_MEDIA_TYPE');
    expect(error.message).toContain('no text/csv; send application/json');
    expect((await post('{}', {})).status).toBe(415);
    expect((await post('{}', { 'content-type': 'application/json; charset=latin1' })).status).toBe(415);
    expect((await post('{}', { ...json, 'content-encoding': 'gzip' })).error.message).toContain('gzip');
    expect((await post(Buffer.from('7b22ff22', 'hex'))).error.message).toBe('the body is not UTF-8');
  });
});

describe('an error', () => {
  it.each<[ErrorCode, number]>([
    ['INVALID_ARGUMENT', 400],
    ['OUT_OF_RANGE', 400],
    ['FAILED_PRECONDITION', 409],
    ['OVERLOADED', 503],
    ['UNAVAILABLE', 503],
    ['READ_TIMEOUT', 504],
    ['WRITE_TIMEOUT', 504],
    ['DATA_LOSS', 500],
    ['INTERNAL', 500],
  ])('%s has status %i', async (code, status) => {
    const failingApp = createHttp(httpOptions([failing(new TallyringError(code, 'why'))]));
    const answer = await failingApp.inject('/fail');
    expect(answer.statusCode).toBe(status);
    expect(answer.json().error).toMatchObject({ code, message: 'why' });
    expect(answer.headers['retry-after']).toBe(status === 503 ? '1' : undefined);
  });

  it('says what is known of the replicas', async () => {
    const answer = await createHttp(httpOptions([failing(unavailable)])).inject('/fail');
    expect(answer.json()).toEqual({
      error: {
        code: 'UNAVAILABLE',
        message: 'one of three is there',
        mayHaveApplied: false,
        retryable: true,
        required: 2,
        received: 0,
        live: 1,
      },
    });
  });

  it('that nobody foresaw keeps its text for the log', async () => {
    const answer = await createHttp(httpOptions([failing(new Error('secret path'))])).inject('/fail');
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain('secret');
  });

  it('of a late answer says so, and aborts the work', async () => {
    const { slow, started } = slowRoute();
    const slowApp = createHttp(httpOptions([slow], { answerTimeoutMs: 20 }));
    const answer = await slowApp.inject('/slow');
    expect(answer.statusCode).toBe(504);
    expect(answer.json().error).toMatchObject({ code: 'READ_TIMEOUT', mayHaveApplied: false });
    expect((await started).aborted).toBe(true);
  });
});

describe('health, metrics and files', () => {
  it('health has status 503 while not serving', async () => {
    let serving = true;
    const health = () => ({ serving, why: 'because' });
    const healthApp = createHttp({ ...httpOptions([]), health });
    expect((await healthApp.inject('/health')).statusCode).toBe(200);
    serving = false;
    const answer = await healthApp.inject('/health');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toEqual({ serving: false, why: 'because' });
  });

  it('requests are counted by route and status, unknown paths as one', async () => {
    const registry = new Registry();
    const counted = createHttp(httpOptions([shout], {}, registry));
    for (const url of ['/shout?text=a', '/shout', '/a', '/b']) await counted.inject(url);
    const text = (await counted.inject('/metrics')).body;
    expect(text).toContain('tallyring_http_requests_total{route="/shout",status="200"} 1');
    expect(text).toContain('tallyring_http_requests_total{route="/shout",status="400"} 1');
    expect(text).toContain('tallyring_http_requests_total{route="unknown",status="404"} 2');
    expect(text).toContain('tallyring_http_request_seconds_count{route="/shout",status="200"} 1');
  });

  it('a file is sent once, and revalidated afterwards', async () => {
    const file = { path: '/page', contentType: 'text/html', body: Buffer.from('<p>hey') };
    const fileApp = createHttp({ ...httpOptions([]), files: [file] });
    const first = await fileApp.inject('/page');
    expect(first.body).toBe('<p>hey');
    expect(first.headers['x-content-type-options']).toBe('nosniff');
    const headers = { 'if-none-match': String(first.headers.etag) };
    expect((await fileApp.inject({ url: '/page', headers })).statusCode).toBe(304);
  });

  it('a path that is not there names the OpenAPI document, and no part of a page', async () => {
    const page = { path: '/page', contentType: 'text/html', body: Buffer.from('<p>hey') };
    const document = { path: '/openapi.json', contentType: 'application/json', body: Buffer.from('{}') };
    const { message } = (
      await createHttp({ ...httpOptions([]), files: [page, document] }).inject('/no')
    ).json().error;
    expect(message).toMatch(/there is GET \/health, GET \/metrics, GET \/openapi\.json$/);
  });
});
