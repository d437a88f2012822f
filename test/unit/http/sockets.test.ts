import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpLimits } from '../../../services/http/limits.js';
import { type HttpServer, openHttp } from '../../../services/http/open-http.js';
import type { Route } from '../../../services/http/routes.js';
import { route } from '../../../services/http/routes.js';
import { echo, httpOptions, rawConnection, shout, slowRoute } from './http-fixture.js';

// What only a real socket shows: slow and oversized requests, too many connections, closing.

const address = { host: '127.0.0.1', port: 0 };
let server: HttpServer | undefined;

async function open(routes: readonly Route[], limits: Partial<HttpLimits> = {}): Promise<number> {
  server = await openHttp(httpOptions(routes, limits), address);
  return server.port;
}

afterEach(() => server?.close());

/** The JSON of a raw answer. */
function errorOf(text: string) {
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n'))).error;
}

const POST = 'POST /echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';

describe('bodies', () => {
  it('beyond what may be worked on together are refused before they are read, and taken when there is room', async () => {
    const port = await open([echo], { maxBodyBytesInFlight: 120 });
    const small = (close: boolean) =>
      `${POST}${close ? 'connection: close\r\n' : ''}content-length: 30\r\n\r\n{"text":"${'x'.repeat(19)}"}`;
    const large = await rawConnection(port);
    large.socket.write(`${POST}content-length: 100\r\n\r\n{"te`);
    const refused = async () => {
      const { socket, ended } = await rawConnection(port);
      socket.write(small(true));
      return (await ended).startsWith('HTTP/1.1 503');
    };
    await expect.poll(refused).toBe(true);
    const { socket, ended } = await rawConnection(port);
    socket.write(small(true));
    expect(errorOf(await ended)).toMatchObject({
      code: 'OVERLOADED',
      mayHaveApplied: false,
      retryable: true,
    });
    large.socket.destroy();
    await expect.poll(refused).toBe(false);
  });
});

describe('a slow client', () => {
  it.each([
    ['nothing at all', ''],
    ['half of its headers', 'GET /shout HTTP/1.1\r\nhost'],
    ['half of its body', `${POST}content-length: 100\r\n\r\n{"te`],
  ])('that sends %s is told and cut off', async (_, bytes) => {
    const port = await open([echo, shout], { headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const { socket, ended } = await rawConnection(port);
    if (bytes !== '') socket.write(bytes);
    const text = await ended;
    expect(text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(errorOf(text)).toMatchObject({ code: 'REQUEST_TIMEOUT', mayHaveApplied: false, retryable: true });
    expect(errorOf(text).message).toContain('200 ms for all (requestTimeoutMs)');
  });

  it('that does not read its answer is cut off', async () => {
    const long = route(
      { method: 'GET', path: '/long', summary: 'Much', answers: { 200: { description: 'Much' } } },
      () => ({ body: 'x'.repeat(50_000_000), contentType: 'text/plain' }),
    );
    const registry = new Registry();
    server = await openHttp(httpOptions([long], { stalledTimeoutMs: 100 }, registry), address);
    const open = async () =>
      (await registry.getSingleMetric('tallyring_http_connections')!.get()).values[0]?.value;
    const { socket, ended } = await rawConnection(server.port);
    socket.pause();
    socket.write('GET /long HTTP/1.1\r\nhost: a\r\n\r\n');
    await expect.poll(open).toBe(1);
    await expect.poll(open, { timeout: 5_000 }).toBe(0);
    socket.resume();
    expect((await ended).length).toBeLessThan(50_000_000);
  });

  it('that was refused is not answered twice', async () => {
    const port = await open([echo], { maxBodyBytes: 100, headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const { socket, ended } = await rawConnection(port);
    socket.write(`${POST}content-length: 1000\r\n\r\n{"te`);
    expect((await ended).match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});

describe('an oversized request', () => {
  it('has its body read to the end, so that the caller learns why', async () => {
    const port = await open([echo], { maxBodyBytes: 1_000 });
    const body = JSON.stringify({ text: 'x'.repeat(5_000_000) });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`http://127.0.0.1:${port}/echo`, { method: 'POST', body, headers });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({
      error: { code: 'BODY_TOO_LARGE', message: expect.stringContaining('1000 bytes (maxBodyBytes)') },
    });
  });

  it('is found without a content-length too', async () => {
    const port = await open([echo], { maxBodyBytes: 10 });
    const { socket, ended } = await rawConnection(port);
    socket.write(
      `${POST}connection: close\r\ntransfer-encoding: chunked\r\n\r\n14\r\n${'x'.repeat(20)}\r\n0\r\n\r\n`,
    );
    expect(errorOf(await ended)).toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('is refused for its URL and for its headers', async () => {
    const port = await open([shout], { maxUrlBytes: 100 });
    const long = await fetch(`http://127.0.0.1:${port}/shout?text=${'x'.repeat(200)}`);
    expect(long.status).toBe(414);
    expect(await long.json()).toMatchObject({ error: { code: 'URL_TOO_LONG' } });
    const { socket, ended } = await rawConnection(port);
    socket.write(`GET /shout HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`);
    const text = await ended;
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
    expect(errorOf(text)).toMatchObject({ code: 'HEADERS_TOO_LARGE' });
  });

  it('that is no HTTP is told so', async () => {
    const port = await open([shout]);
    const { socket, ended } = await rawConnection(port);
    socket.write('\u0016\u0003\u0001 hello\r\n\r\n');
    expect(errorOf(await ended).message).toContain('no HTTP/1.1 request');
  });
});

describe('connections', () => {
  it('beyond the limit are told so, and the others go on', async () => {
    const port = await open([shout], { maxConnections: 1 });
    const request = 'GET /shout?text=a HTTP/1.1\r\nhost: a\r\n';
    const first = await rawConnection(port);
    const second = await rawConnection(port);
    second.socket.write(`${request}\r\n`);
    const refused = await second.ended;
    expect(refused).toMatch(/^HTTP\/1\.1 503 /);
    expect(errorOf(refused).message).toContain('(maxConnections)');
    first.socket.write(`${request}connection: close\r\n\r\n`);
    expect(await first.ended).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('a port that is in use is named', async () => {
    const port = await open([shout]);
    await expect(openHttp(httpOptions([]), { host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`127.0.0.1:${port}: it is in use`),
    });
  });
});

describe('closing', () => {
  it('ends what is in flight first', async () => {
    const { slow, started, finish } = slowRoute();
    const port = await open([slow]);
    const answer = fetch(`http://127.0.0.1:${port}/slow`);
    await started;
    const closed = server!.close();
    finish();
    expect((await answer).status).toBe(200);
    await closed;
    await expect(fetch(`http://127.0.0.1:${port}/slow`)).rejects.toThrow();
  });

  it('does not wait longer than its bound', async () => {
    const { slow, started } = slowRoute();
    const port = await open([slow], { closeTimeoutMs: 50 });
    const answer = fetch(`http://127.0.0.1:${port}/slow`).catch((error: Error) => error);
    const signal = await started;
    await server!.close();
    expect(await answer).toBeInstanceOf(Error);
    await aborted(signal);
  });
});

it('a caller that has gone aborts its work', async () => {
  const { slow, started } = slowRoute();
  const port = await open([slow]);
  const { socket } = await rawConnection(port);
  socket.write('GET /slow HTTP/1.1\r\nhost: a\r\n\r\n');
  const signal = await started;
  const work = aborted(signal);
  socket.destroy();
  await work;
});

/** Resolves when the work is told to end. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
