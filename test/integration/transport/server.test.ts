import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { afterEach, describe, expect, it } from 'vitest';
import { connectOperator, grpcTransport } from '../../../client/transport/grpc.js';
import type { NodeConnection } from '../../../client/transport.js';
import { clusterSchema } from '../../../node/config.js';
import { createMetrics } from '../../../node/metrics.js';
import { checkHost } from '../../../node/transport/server.js';
import type { CallOptions, FlushReply, IncrementRequest } from '../../../proto/calls.js';
import { errorToData, TallyringError } from '../../../proto/errors.js';
import { counterService } from '../../../proto/load.js';
import { serveMetrics } from '../../../proto/metrics-http.js';
import { ALL_CODES, clusterOf, rejection, startServer, until } from '../../unit/transport/fakes.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function served(port: number, options: Parameters<typeof startServer>[1] = {}, limits = {}) {
  const server = await startServer(clusterOf(port, { limits }), options);
  const connection = connectOperator(`127.0.0.1:${port}`);
  closers.push(
    () => server.close(),
    () => connection.close(),
  );
  return { server, connection };
}

const options: CallOptions = { timeoutMs: 2_000 };
const cellOf = (key: string) => ({ key, eventType: 'v' });
const batchOf = (text: string) => ({ ringEpoch: 1, level: 'QUORUM' as const, batch: Buffer.from(text) });

describe('client calls over gRPC', () => {
  it('reach the node and come back as they were', async () => {
    const cell = { count: 3, sum: -(2n ** 63n), min: -5, max: 2n ** 60n };
    const series = [{ startMs: 0, value: cell }];
    const stats = { startMs: 0, endMs: 7, granularity: 'hour' as const, value: cell, series };
    const failed = errorToData(new TallyringError('OUT_OF_RANGE', 'too much'));
    const seen: unknown[] = [];
    const { connection } = await served(21_200, {
      calls: {
        increment: async (requests, level) => {
          seen.push(requests, level);
          return requests.map(({ value }) => (value === 7 ? { error: failed } : { ok: null }));
        },
        get: async (queries) => queries.map(({ key }) => (key === 'bad' ? { error: failed } : { ok: cell })),
        stats: async (queries) =>
          queries.map(({ key }) => (key === 'bad' ? { error: failed } : { ok: stats })),
        mintProducer: async ({ above, kind }) => above ?? Buffer.alloc(16, kind === 'log' ? 9 : 1),
        endpointsOf: async (key) => [key, 'n2'],
        scanLocal: async (after, limit) => ({
          keys: [after ?? Buffer.from('none')],
          hashes: Buffer.alloc(8),
          more: limit > 1,
        }),
      },
    });
    const increment = (value: number): IncrementRequest => ({ key: 'k', eventType: 'v', value });
    expect(await connection.increment([increment(1)], 'EACH_QUORUM', options)).toEqual([{ ok: null }]);
    expect(await connection.increment([increment(7)], 'ONE', options)).toEqual([{ error: failed }]);
    expect(await connection.increment([increment(1), increment(7)], 'TWO', options)).toEqual([
      { ok: null },
      { error: failed },
    ]);
    expect(seen.filter((item) => typeof item === 'string')).toEqual(['EACH_QUORUM', 'ONE', 'TWO']);
    expect(await connection.get([cellOf('k'), cellOf('bad')], 'ONE', options)).toEqual([
      { ok: cell },
      { error: failed },
    ]);
    const range = { key: 'k', eventType: 'v', startMs: 1, endMs: 6 };
    // A short series goes over the stream of queries, a long one as a call: nobody can tell.
    const long = { ...range, endMs: 9e9, granularity: 'minute' as const };
    for (const query of [range, { ...long, endMs: 6 }, long]) {
      expect(await connection.stats([query, { ...query, key: 'bad' }], 'ONE', options)).toEqual([
        { ok: stats },
        { error: failed },
      ]);
    }
    expect(await connection.mintProducer({}, options)).toEqual(Buffer.alloc(16, 1));
    expect(await connection.mintProducer({ kind: 'log' }, options)).toEqual(Buffer.alloc(16, 9));
    expect(await connection.mintProducer({ above: Buffer.alloc(16, 2) }, options)).toEqual(
      Buffer.alloc(16, 2),
    );
    expect((await rejection(connection.mintProducer({ above: Buffer.alloc(3) }, options))).code).toBe(
      'INVALID_ARGUMENT',
    );
    expect(await connection.endpointsOf('schlüssel', options)).toEqual(['schlüssel', 'n2']);
    expect(await connection.scanLocal(Buffer.from('a'), 2, options)).toEqual({
      keys: [Buffer.from('a')],
      hashes: Buffer.alloc(8),
      more: true,
    });
  });

  it('carry the shards of cells, as many as an answer holds', async () => {
    const failed = errorToData(new TallyringError('UNAVAILABLE', 'too few'));
    const shards = [
      {
        producerId: Buffer.alloc(16, 1),
        sequence: 2 ** 53 - 1,
        count: 3,
        sum: -(2n ** 63n),
        min: -5,
        max: 9,
      },
      { producerId: Buffer.alloc(16, 2), sequence: 0, count: 0, sum: 0, min: null, max: null },
    ];
    const seen: unknown[] = [];
    const { connection } = await served(21_214, {
      calls: {
        shards: async (cells, level) => {
          seen.push(cells, level);
          if (cells[0]?.key === 'none') return [];
          return cells.slice(0, 2).map(({ key }) => (key === 'bad' ? { error: failed } : { ok: shards }));
        },
      },
    });
    const cells = ['k', 'bad', 'later'].map((key) => ({
      key,
      eventType: 'v',
      granularity: 'hour' as const,
      window: -7,
    }));
    expect(await connection.shards(cells, 'ALL', options)).toEqual([{ ok: shards }, { error: failed }]);
    expect(seen).toEqual([cells, 'ALL']);
    const asked = connection.shards([{ ...cells[0]!, key: 'none' }], 'ALL', options);
    expect((await rejection(asked)).code).toBe('INTERNAL');
  });

  it('carry every error code with its facts', async () => {
    let next = 0;
    const { connection } = await served(21_202, {
      calls: {
        describe: async () => {
          throw new TallyringError(ALL_CODES[next++]!, 'grün\n😀', { required: 2, received: 0, live: 1 });
        },
      },
    });
    for (const code of ALL_CODES) {
      const { retryable, mayHaveApplied } = new TallyringError(code, '');
      expect(await rejection(connection.describe(options))).toMatchObject({
        code,
        message: 'grün\n😀',
        required: 2,
        received: 0,
        live: 1,
        retryable,
        mayHaveApplied,
      });
    }
  });

  it('answer malformed bytes with INVALID_ARGUMENT, and the connection goes on', async () => {
    const { connection } = await served(21_204, { calls: { endpointsOf: async () => [] } });
    const client = new Client('127.0.0.1:21204', credentials.createInsecure());
    closers.push(() => client.close());
    const error = await new Promise<ServiceError | null>((resolve) => {
      const bytes = Buffer.from([0x0a, 5, 0x61]);
      client.makeUnaryRequest(
        counterService.Increment.path,
        () => bytes,
        () => null,
        null,
        resolve,
      );
    });
    expect(error).toMatchObject({ code: 3, details: expect.stringContaining('key is cut short') });
    expect(await connection.endpointsOf('k', options)).toEqual([]);
  });

  it('have a deadline: the caller’s, less time to answer, at most maxRequestMs, else the default', async () => {
    const seen: number[] = [];
    const calls = {
      endpointsOf: async (_: string, { timeoutMs }: CallOptions) => {
        seen.push(timeoutMs);
        return [];
      },
      report: () => new Promise<never>(() => undefined),
    };
    const { connection } = await served(21_206, { calls }, { maxRequestMs: 3_000, defaultRequestMs: 700 });
    await connection.endpointsOf('k', { timeoutMs: 1_000 });
    expect(seen[0]).toBeGreaterThan(800);
    expect(seen[0]).toBeLessThanOrEqual(985);
    await connection.endpointsOf('k', { timeoutMs: 60_000 });
    expect(seen[1]).toBe(3_000);
    const client = new Client('127.0.0.1:21206', credentials.createInsecure());
    closers.push(() => client.close());
    await new Promise((resolve) =>
      client.makeUnaryRequest(
        '/tallyring.v1.Operator/EndpointsOf',
        () => Buffer.alloc(0),
        String,
        null,
        resolve,
      ),
    );
    expect(seen[2]).toBe(700);
    const startedAt = performance.now();
    const error = await rejection(connection.report({ timeoutMs: 150 }));
    expect(error.code).toBe('READ_TIMEOUT');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('end when their signal aborts, with its reason', async () => {
    let asked = 0;
    const never = () => new Promise<never>(() => asked++);
    const { connection } = await served(21_208, { calls: { report: never, flush: never, get: never } });
    const abort = new AbortController();
    const reason = new Error('enough');
    const calls = [
      connection.report({ ...options, signal: abort.signal }),
      connection.flush(batchOf(''), { ...options, signal: abort.signal }),
      connection.get([cellOf('k')], 'ONE', { ...options, signal: abort.signal }),
    ];
    const outcomes = Promise.allSettled(calls);
    await until(() => asked === 3);
    abort.abort(reason);
    expect(await outcomes).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    await expect(connection.report({ ...options, signal: abort.signal })).rejects.toBe(reason);
    await expect(connection.get([], 'ONE', { ...options, signal: abort.signal })).rejects.toBe(reason);
    expect(asked).toBe(3);
  });

  it('are refused at once where nobody listens, and find a node that comes later', async () => {
    const connection = grpcTransport().connect('127.0.0.1:21210');
    closers.push(() => connection.close());
    const calls = (node: NodeConnection) => [
      rejection(node.describe(options)),
      rejection(node.flush(batchOf(''), options)),
      rejection(node.get([cellOf('k')], 'ONE', options)),
    ];
    for (const error of await Promise.all(calls(connection))) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true });
      expect(error.message).toContain('127.0.0.1:21210 cannot be reached');
    }
    const server = await startServer(clusterOf(21_210), { calls: { flush: async () => ({ failures: [] }) } });
    closers.push(() => server.close());
    let reply: FlushReply | undefined;
    const tryAgain = async () => {
      while (!reply) reply = await connection.flush(batchOf(''), options).catch(() => undefined);
    };
    const trying = tryAgain();
    await until(() => reply !== undefined, 3_000);
    await trying;
  });

  it('refuse addresses that are none, and calls after close', async () => {
    for (const address of ['', 'host', 'http://host:1', 'a b:1', ':7001', 'host:']) {
      expect(() => grpcTransport().connect(address)).toThrow(TallyringError);
    }
    const connection = grpcTransport().connect('[::1]:21212');
    connection.close();
    expect((await rejection(connection.describe(options))).code).toBe('CLOSED');
    expect((await rejection(connection.flush(batchOf(''), options))).code).toBe('CLOSED');
    expect((await rejection(connection.get([], 'ONE', options))).code).toBe('CLOSED');
  });
});

describe('the flush stream', () => {
  it('matches replies that come out of order, failures and errors to their requests', async () => {
    const held: (() => void)[] = [];
    const failed = errorToData(new TallyringError('WRITE_TIMEOUT', 'slow', { required: 2, received: 1 }));
    const seen: unknown[] = [];
    const { connection } = await served(21_220, {
      calls: {
        flush: ({ batch, ...rest }, { timeoutMs }) => {
          seen.push({ ...rest, timeoutMs });
          return new Promise((resolve, reject) => {
            const text = batch.toString();
            held.unshift(() => {
              if (text === 'stale') reject(new TallyringError('STALE_RING', 'refresh'));
              else resolve({ failures: text === 'all' ? [] : [{ indexes: [text.length], error: failed }] });
            });
          });
        },
      },
    });
    const replies = Promise.allSettled(
      ['all', 'some', 'stale'].map((text) => connection.flush(batchOf(text), options)),
    );
    await until(() => held.length === 3);
    for (const release of held) release();
    expect(await replies).toMatchObject([
      { value: { failures: [] } },
      { value: { failures: [{ indexes: [4], error: failed }] } },
      { status: 'rejected', reason: { code: 'STALE_RING', retryable: true } },
    ]);
    expect(seen[0]).toEqual({ ringEpoch: 1, level: 'QUORUM', timeoutMs: 2_000 });
  });

  it('leaves an unanswered flush in doubt at its deadline, and takes the next one', async () => {
    const { connection } = await served(21_222, {
      calls: {
        flush: ({ batch }) =>
          batch.length === 0 ? new Promise(() => undefined) : Promise.resolve({ failures: [] }),
      },
    });
    const error = await rejection(connection.flush(batchOf(''), { timeoutMs: 100 }));
    expect(error).toMatchObject({ code: 'WRITE_TIMEOUT', mayHaveApplied: true });
    expect(await connection.flush(batchOf('x'), options)).toEqual({ failures: [] });
  });

  it('carries batches of half a megabyte whole, and loses none of a flood over its limit', async () => {
    const { connection } = await served(
      21_224,
      {
        calls: {
          flush: async ({ batch }) => {
            await new Promise((resolve) => setImmediate(resolve));
            return {
              failures: [
                {
                  indexes: [batch.length, batch[batch.length - 1]!],
                  error: errorToData(new TallyringError('INTERNAL', '')),
                },
              ],
            };
          },
        },
      },
      { maxPeerQueueBytes: 1_000_000 },
    );
    const flushes = Array.from({ length: 40 }, (_, i) =>
      connection.flush({ ...batchOf(''), batch: Buffer.alloc(500_000, i) }, { timeoutMs: 10_000 }),
    );
    const replies = await Promise.all(flushes);
    expect(replies.map(({ failures }) => failures[0]?.indexes)).toEqual(replies.map((_, i) => [500_000, i]));
  });
});

describe('the query stream', () => {
  const value = { count: 1, sum: 1, min: 1, max: 1 };

  it('matches replies that come out of order, outcomes and errors to their requests', async () => {
    const held: (() => void)[] = [];
    const failed = errorToData(new TallyringError('READ_TIMEOUT', 'slow', { required: 2, received: 1 }));
    const seen: unknown[] = [];
    const { connection } = await served(21_260, {
      calls: {
        get: (queries, level) => {
          seen.push(level);
          return new Promise((resolve, reject) => {
            held.unshift(() => {
              if (queries.length === 0) reject(new TallyringError('OVERLOADED', 'later', { live: 2 }));
              else resolve(queries.map(({ key }) => (key === 'bad' ? { error: failed } : { ok: value })));
            });
          });
        },
      },
    });
    const replies = Promise.allSettled([
      connection.get([cellOf('k')], 'ONE', options),
      connection.get([cellOf('bad'), cellOf('k')], 'ALL', options),
      connection.get([], 'QUORUM', options),
    ]);
    await until(() => held.length === 3);
    for (const release of held) release();
    expect(await replies).toEqual([
      { status: 'fulfilled', value: [{ ok: value }] },
      { status: 'fulfilled', value: [{ error: failed }, { ok: value }] },
      { status: 'rejected', reason: expect.objectContaining({ code: 'OVERLOADED', live: 2 }) },
    ]);
    expect(seen).toEqual(['ONE', 'ALL', 'QUORUM']);
  });

  it('has a deadline for each request, as unary calls have, and takes the next one', async () => {
    const seen: number[] = [];
    const { connection } = await served(
      21_262,
      {
        calls: {
          get: (queries, _, { timeoutMs }) => {
            seen.push(timeoutMs);
            return queries.length === 0 ? new Promise(() => undefined) : Promise.resolve([{ ok: value }]);
          },
        },
      },
      { maxRequestMs: 3_000 },
    );
    const error = await rejection(connection.get([], 'ONE', { timeoutMs: 150 }));
    expect(error).toMatchObject({ code: 'READ_TIMEOUT', mayHaveApplied: false });
    expect(await connection.get([cellOf('k')], 'ONE', { timeoutMs: 1_000 })).toEqual([{ ok: value }]);
    expect(await connection.get([cellOf('k')], 'ONE', { timeoutMs: 2 ** 40 })).toEqual([{ ok: value }]);
    expect(seen).toEqual([135, 980, 3_000]);
  });

  it('leaves a read that its server cut off to be made again, and finds the server that comes back', async () => {
    const config = clusterOf(21_264);
    let asked = 0;
    const server = await startServer(config, { calls: { get: () => new Promise(() => asked++) } });
    const connection = grpcTransport().connect('127.0.0.1:21264');
    closers.push(() => connection.close());
    const reading = rejection(connection.get([cellOf('k')], 'ONE', { timeoutMs: 9_000 }));
    await until(() => asked === 1);
    await server.close();
    expect(await reading).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true });
    const again = await startServer(config, { calls: { get: async () => [{ ok: value }] } });
    closers.push(() => again.close());
    let outcomes: unknown;
    const tryAgain = async () => {
      while (!outcomes) {
        outcomes = await connection.get([cellOf('k')], 'ONE', options).catch(() => undefined);
      }
    };
    const trying = tryAgain();
    await until(() => outcomes !== undefined, 3_000);
    await trying;
    expect(outcomes).toEqual([{ ok: value }]);
  });

  it('answers a message that does not decode with number 0, and the stream goes on', async () => {
    await served(21_266, { calls: { get: async () => [{ ok: value }] } });
    const client = new Client('127.0.0.1:21266', credentials.createInsecure());
    closers.push(() => client.close());
    const { path, requestSerialize, responseDeserialize } = counterService.Query;
    const stream = client.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, responseDeserialize);
    const replies: unknown[] = [];
    stream.on('data', (reply) => replies.push(reply));
    stream.on('error', () => undefined);
    stream.write(Buffer.from([0x08, 5, 0x12, 9, 0x61]));
    stream.write(requestSerialize({ id: 6, queries: [], stats: [], consistency: 99, timeoutMs: 0 }));
    stream.write(requestSerialize({ id: 7, queries: [], stats: [], consistency: 0, timeoutMs: 0 }));
    await until(() => replies.length === 3);
    expect(replies).toMatchObject([
      { id: 0, error: { code: 'INVALID_ARGUMENT', message: expect.stringContaining('cut short') } },
      { id: 6, outcomes: [], error: { code: 'INVALID_ARGUMENT' } },
      { id: 7, outcomes: [{ value: { sum: '1' } }] },
    ]);
    stream.cancel();
  });

  it('holds a flood back at its limit, and loses none of it', async () => {
    let asked = 0;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { connection } = await served(
      21_268,
      {
        calls: {
          endpointsOf: async () => [],
          get: async (queries) => {
            asked++;
            await released;
            return queries.map(({ key }) => ({ ok: { ...value, sum: Number(key) } }));
          },
        },
      },
      { maxPeerQueueBytes: 10_000 },
    );
    const reads = Array.from({ length: 300 }, (_, i) =>
      connection.get([cellOf(String(i).padStart(1_000, '0'))], 'ONE', { timeoutMs: 10_000 }),
    );
    await until(() => asked > 1);
    // They come after the flood, on the same connection: the node has what it was going to take.
    for (let i = 0; i < 30; i++) await connection.endpointsOf('k', options);
    expect(asked).toBeLessThanOrEqual(10);
    release();
    expect(await Promise.all(reads)).toEqual(reads.map((_, i) => [{ ok: { ...value, sum: i } }]));
  });
});

describe('listening', () => {
  it('says that a port is in use, which, and what to do', async () => {
    await served(21_230);
    const error = await rejection(startServer(clusterOf(21_230)));
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(error.message).toMatch(/port 21230 .*in use.*cluster\.yml/);
    const other = createServer().listen(21_231, '127.0.0.1');
    closers.push(() => other.close());
    await until(() => other.listening);
    const metrics = serveMetrics({
      host: '127.0.0.1',
      port: 21_231,
      registry: createMetrics('n1').registry,
      health: () => ({ serving: true }),
    });
    expect((await rejection(metrics)).message).toMatch(/port 21231 .*in use/);
  });

  it('needs insecure: true for anything but loopback', () => {
    const config = clusterOf(21_232);
    const node = config.nodes[0]!;
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) checkHost(config, { ...node, host });
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.org']) {
      expect(() => checkHost(config, { ...node, host })).toThrow(/insecure: true/);
      checkHost(clusterSchema.parse({ ...config, insecure: true }), { ...node, host });
    }
  });
});

describe('what every gRPC tool knows', () => {
  const load = (file: string, name: string) => {
    const found = loadPackageDefinition(loadSync(file, { longs: String, enums: String, defaults: true }));
    const service = name
      .split('.')
      .reduce((at: unknown, part) => (at as Record<string, unknown>)[part], found);
    return service as new (
      address: string,
      how: unknown,
    ) => Client & Record<string, (...args: unknown[]) => never>;
  };

  it('health flips with the node', async () => {
    const { server } = await served(21_240);
    const client = new (load(healthProto, 'grpc.health.v1.Health'))(
      '127.0.0.1:21240',
      credentials.createInsecure(),
    );
    closers.push(() => client.close());
    const check = (service: string) =>
      new Promise((resolve) =>
        client.check!({ service }, (error: Error | null, reply: { status: string }) =>
          resolve(error ?? reply.status),
        ),
      );
    expect(await check('')).toBe('NOT_SERVING');
    server.setServing(true);
    expect(await check('')).toBe('SERVING');
    expect(await check('tallyring.v1.Counter')).toBe('SERVING');
    server.setServing(false);
    expect(await check('')).toBe('NOT_SERVING');
  });

  it('reflection lists the services and hands out the protos', async () => {
    await served(21_242);
    const file = createRequire(import.meta.url).resolve(
      '@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    );
    const client = new (load(file, 'grpc.reflection.v1.ServerReflection'))(
      '127.0.0.1:21242',
      credentials.createInsecure(),
    );
    closers.push(() => client.close());
    const stream = client.ServerReflectionInfo!() as unknown as import('node:stream').Duplex;
    const replies: Record<string, { service?: { name: string }[]; fileDescriptorProto?: Buffer[] }>[] = [];
    stream.on('data', (reply) => replies.push(reply));
    stream.on('error', () => undefined);
    stream.write({ listServices: '' });
    stream.write({ fileContainingSymbol: 'tallyring.v1.Counter' });
    await until(() => replies.length === 2);
    const names = replies[0]?.listServicesResponse?.service?.map(({ name }) => name) ?? [];
    const ours = [
      'tallyring.peer.v1.Peer',
      'tallyring.v1.Counter',
      'tallyring.v1.Operator',
      'tallyring.v1.Register',
    ];
    expect(names.sort()).toEqual(['grpc.health.v1.Health', ...ours]);
    const files = replies[1]?.fileDescriptorResponse?.fileDescriptorProto ?? [];
    expect(files).toHaveLength(1);
    expect(files[0]?.toString('latin1')).toContain('event_type');
    stream.end();
  });

  it('a tool of another language finds its way by reflection alone', async () => {
    const value = { count: 2, sum: 42, min: 5, max: 37 };
    await served(21_244, { calls: { get: async () => [{ ok: value }] } });
    const buf = fileURLToPath(new URL('../../../node_modules/.bin/buf', import.meta.url));
    const call = ['curl', '--reflect', '--protocol', 'grpc', '--http2-prior-knowledge'];
    const request = JSON.stringify({ key: 'k', event_type: 'v', consistency: 'CONSISTENCY_LEVEL_ALL' });
    const url = 'http://127.0.0.1:21244/tallyring.v1.Counter/Get';
    // Outside the repository, whose buf.yaml would be asked first.
    const { stdout } = await promisify(execFile)(buf, [...call, url, '-d', request], { cwd: tmpdir() });
    expect(JSON.parse(stdout)).toEqual({
      value: { count: '2', sum: '42', min: '5', max: '37', average: 21 },
    });
  });
});

describe('HTTP', () => {
  it('serves metrics and health, and nothing else', async () => {
    let serving = true;
    const http = await serveMetrics({
      host: '127.0.0.1',
      port: 21_250,
      registry: createMetrics('n1').registry,
      health: () => ({ serving, status: 'normal', storeState: 'ok' }),
    });
    closers.push(() => http.close());
    const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:21250${path}`, init);
    expect(await (await get('/metrics')).text()).toContain('tallyring_commits_total{node="n1"} 0');
    const healthy = await get('/health');
    expect([healthy.status, await healthy.json()]).toEqual([
      200,
      { serving, status: 'normal', storeState: 'ok' },
    ]);
    serving = false;
    expect((await get('/health')).status).toBe(503);
    expect((await get('/other')).status).toBe(404);
    expect((await get('/metrics', { method: 'POST' })).status).toBe(405);
  });
});
