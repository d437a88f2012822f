import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, type TallyringClient } from '../../client/index.js';
import { connectOperator, grpcTransport } from '../../client/transport/grpc.js';
import { clusterSchema } from '../../node/config.js';
import { type RunningNode, runNode } from '../../node/main.js';
import { silentLogger } from '../../ports/logger.js';
import { encodeBatch } from '../../proto/batch.js';
import { type Entry, encodeShard, KIND, sealValue, shardKey, tokenOf } from '../../proto/entry.js';
import type { ConsistencyLevel } from '../../proto/level.js';

// What is wrong is refused with a typed error that says what to do, and nothing of it is applied.
const PORT = 25_101;
const config = clusterSchema.parse({
  cluster: 'bad-input',
  replication: { dc1: 1 },
  rollups: ['total', 'hour'],
  nodes: [{ id: 'n1', port: PORT }],
});
const folder = mkdtempSync(join(tmpdir(), 'tallyring-bad-input-'));
const address = `127.0.0.1:${PORT}`;
const options = { timeoutMs: 2_000 };
const DAY_MS = 86_400_000;

let node: RunningNode;
let client: TallyringClient;
const operator = connectOperator(address);

beforeAll(async () => {
  node = await runNode({ config, nodeId: 'n1', dataFolder: folder, newCluster: true, logger: silentLogger });
  client = await connect({ contactPoints: [address] });
});

afterAll(async () => {
  await client.close();
  operator.close();
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function entriesHeld(): Promise<number> {
  return (await operator.scanLocal(undefined, 1_000, options)).keys.length;
}

let before = 0;
beforeEach(async () => {
  before = await entriesHeld();
});

const cell = { key: 'video', eventType: 'view', granularity: 'total', window: 0 } as const;
const producer = Buffer.alloc(16, 7);
const good = (): Entry =>
  encodeShard(shardKey(cell, tokenOf('video'), producer), { sequence: 1, count: 1, sum: 1, min: 1, max: 1 });

function changed(change: (entry: Entry) => void): Entry {
  const { key, value } = good();
  const entry = { key: Buffer.from(key), value: Buffer.from(value) };
  change(entry);
  return entry;
}

/** Another key under a checksum that fits it: what a wrong client would send, not what a wire would damage. */
function resealed(change: (key: Buffer) => void): Entry {
  const { key, value } = good();
  const copy = Buffer.from(key);
  change(copy);
  return { key: copy, value: sealValue(copy, value.subarray(0, value.length - 8)) };
}

describe('batches of producers', () => {
  const flush = (batch: Buffer, level: ConsistencyLevel = 'QUORUM') =>
    operator.flush({ ringEpoch: 1, level, batch }, options);
  const cases: [string, () => Buffer, string, RegExp][] = [
    ['truncated', () => encodeBatch([good()]).subarray(0, 40), 'INVALID_ARGUMENT', /does not decode/],
    ['not a batch', () => Buffer.from([0xc0]), 'INVALID_ARGUMENT', /batch/],
    ['a newer batch format', () => Buffer.from([0x92, 0x02, 0x90]), 'UNSUPPORTED_FORMAT', /batch format 2/],
    [
      'a newer entry format',
      () => encodeBatch([resealed((key) => key.writeUInt8(2, 0))]),
      'UNSUPPORTED_FORMAT',
      /format 2/,
    ],
    [
      'a flipped bit in the value',
      () => encodeBatch([changed(({ value }) => value.writeUInt8(value[1]! ^ 1, 1))]),
      'INVALID_ARGUMENT',
      /checksum/,
    ],
    [
      'a token that is not the key’s',
      () => encodeBatch([resealed((key) => key.writeUInt8(key[6]! ^ 1, 6))]),
      'INVALID_ARGUMENT',
      /token/,
    ],
    [
      'another kind than a shard',
      () => encodeBatch([resealed((key) => key.writeUInt8(KIND.register, key.length - 17))]),
      'INVALID_ARGUMENT',
      /producerId|kind/,
    ],
    [
      'a granularity that is not kept',
      () =>
        encodeBatch([
          encodeShard(shardKey({ ...cell, granularity: 'minute' }, tokenOf('video'), producer), {
            sequence: 1,
            count: 1,
            sum: 1,
            min: 1,
            max: 1,
          }),
        ]),
      'FAILED_PRECONDITION',
      /keeps total, hour/,
    ],
    [
      'one bad entry among good ones',
      () => encodeBatch([good(), changed(({ value }) => value.writeUInt8(value[1]! ^ 1, 1))]),
      'INVALID_ARGUMENT',
      /checksum/,
    ],
  ];

  it.each(cases)('%s: refused, nothing applied', async (_name, batch, code, text) => {
    await expect(flush(batch())).rejects.toMatchObject({
      code,
      mayHaveApplied: false,
      message: expect.stringMatching(text),
    });
    expect(await entriesHeld()).toBe(before);
  });

  it('an old ring is refused, and a level above N', async () => {
    const batch = encodeBatch([good()]);
    await expect(operator.flush({ ringEpoch: 0, level: 'ONE', batch }, options)).rejects.toMatchObject({
      code: 'STALE_RING',
      retryable: true,
    });
    await expect(flush(batch, 'TWO')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/TWO cannot be met/),
    });
    expect(await entriesHeld()).toBe(before);
  });
});

describe('plain increments and reads', () => {
  const increments: [string, Record<string, unknown>, string][] = [
    ['an empty key', { key: '' }, 'INVALID_ARGUMENT'],
    ['an over-long key', { key: 'k'.repeat(1_025) }, 'INVALID_ARGUMENT'],
    ['a lone surrogate', { key: 'a\ud800' }, 'INVALID_ARGUMENT'],
    ['an empty eventType', { eventType: '' }, 'INVALID_ARGUMENT'],
    ['NaN', { value: Number.NaN }, 'INVALID_ARGUMENT'],
    ['a fraction', { value: 1.5 }, 'INVALID_ARGUMENT'],
    ['an unsafe number', { value: 2 ** 53 }, 'INVALID_ARGUMENT'],
    ['beyond int64', { value: 2n ** 63n }, 'OUT_OF_RANGE'],
    ['a timestamp that is no time', { timestampMs: 9e15 }, 'INVALID_ARGUMENT'],
    ['a timestamp two days ahead', { timestampMs: Date.now() + 2 * DAY_MS }, 'INVALID_ARGUMENT'],
  ];

  it.each(increments)(
    '%s: refused by the node and by the SDK, nothing counted',
    async (_name, wrong, code) => {
      const request = { key: 'video', eventType: 'view', value: 1, ...wrong };
      const outcome = await operator.increment([request as never], 'QUORUM', options).then(
        ([first]) => (first !== undefined && 'error' in first ? first.error : undefined),
        (error: unknown) => error as { code: string; mayHaveApplied: boolean },
      );
      expect(outcome).toMatchObject({ code, mayHaveApplied: false });
      const { key, eventType, value, timestampMs } = request as {
        key: string;
        eventType: string;
        value: number;
        timestampMs?: number;
      };
      const sdk = client.increment(key, eventType, {
        by: value,
        ...(timestampMs !== undefined && { timestamp: timestampMs }),
      });
      await expect(sdk).rejects.toMatchObject({ code, mayHaveApplied: false });
      expect(await entriesHeld()).toBe(before);
    },
  );

  it('an overflow is refused before anything changed, and a sum beyond int64 is told, not rounded', async () => {
    const huge = 2n ** 63n - 1n;
    await client.increment('huge', 'view', { by: huge });
    await expect(client.increment('huge', 'view', { by: 1 })).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    const [again] = await operator.increment(
      [{ key: 'huge', eventType: 'view', value: huge }],
      'QUORUM',
      options,
    );
    expect(again).toEqual({ ok: null }); // the node's own shard has room
    await expect(client.get('huge', 'view')).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
      message: expect.stringMatching(/huge view/),
    });
    expect((await client.get('video', 'view')).count).toBe(0); // all else is served
  });

  it.each([
    ['a granularity that is not kept', { granularity: 'minute', timestamp: 0 }, /keeps total, hour/],
    ['an hour without a time in it', { granularity: 'hour' }, /timestamp/],
  ] as const)('reads: %s', async (_name, wrong, text) => {
    await expect(client.get('video', 'view', wrong)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(text),
    });
  });

  it.each([
    ['an end before the start', { start: 2, end: 1 }, /end/],
    ['a range too wide to read', { start: -8e15, end: 8e15, granularity: 'hour' }, /periods/],
    ['a granularity that is not kept', { start: 0, end: 1, granularity: 'day' }, /keeps|kept/],
  ] as const)('stats: %s', async (_name, wrong, text) => {
    await expect(client.stats('video', 'view', wrong)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(text),
    });
  });
});

describe('registers', () => {
  const connection = grpcTransport().connect(address);
  afterAll(() => connection.close());
  type Forged = Partial<Awaited<ReturnType<typeof connection.acquireRegister>>>;

  it.each([
    ['an epoch that nobody can surpass', { epoch: Number.MAX_SAFE_INTEGER }],
    ['epoch 0', { epoch: 0 }],
    ['write 0', { write: 0 }],
    ['a quorum of nobody', { quorum: [] }],
    ['a quorum of strangers', { quorum: [['n2', 1]] }],
    ['a store without number', { quorum: [['n1', 0]] }],
    ['a value too large', { value: Buffer.alloc(config.limits.maxRegisterBytes + 1) }],
  ] as [string, Forged][])('writes: %s', async (_name, forged) => {
    const owner = await connection.acquireRegister('register', options);
    const record = { ...owner, write: 2, value: Buffer.from('forged'), ...forged };
    await expect(connection.writeRegister('register', record, options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await connection.readRegister('register', options)).toMatchObject({ write: 1, value: null });
    expect((await connection.acquireRegister('register', options)).epoch).toBeGreaterThan(owner.epoch);
  });

  it.each(['', 'x'.repeat(1_025), 'ü'.repeat(513), '\ud800'])('names: %j', async (name) => {
    for (const call of [connection.acquireRegister(name, options), connection.readRegister(name, options)]) {
      await expect(call).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });
});

describe('starting a node', () => {
  const start = (over: object, nodeId = 'n1', dataFolder = folder) =>
    runNode({ config: { ...config, ...over }, nodeId, dataFolder, newCluster: false, logger: silentLogger });

  it('refuses a port in use, a folder in use, another node’s or cluster’s folder, and another address without insecure', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'tallyring-bad-start-'));
    const at = (port: number, host = '127.0.0.1') => ({ nodes: [{ ...config.nodes[0]!, port, host }] });
    await expect(start({}, 'n1', elsewhere)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(String(PORT)),
    });
    await expect(start(at(25_102))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/in use by another process/),
    });
    await expect(start({ ...at(25_102), cluster: 'other' }, 'n1', elsewhere)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/of cluster bad-input/),
    });
    await expect(start(at(25_102, '0.0.0.0'), 'n1', elsewhere)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/insecure/),
    });
    rmSync(elsewhere, { recursive: true, force: true });
  });
});
