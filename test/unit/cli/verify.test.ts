import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import { createCursor, differenceOf, mergeScans, type Scan } from '../../../cli/verify-merge.js';
import { shardKey, tokenOf } from '../../../proto/entry.js';
import { description, fakeEnvironment } from './fake-environment.js';

/** A replica as a map of hex key to hash, read in pages of `size`; a page may be empty and not the last. */
function scanOf(entries: ReadonlyMap<string, bigint>, size: number, hiccup = false): Scan {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  let calls = 0;
  return async (after) => {
    const from = after === undefined ? 0 : sorted.findIndex(([key]) => key > after.toString('hex'));
    const rest = from === -1 ? [] : sorted.slice(from);
    const page = hiccup && calls++ % 3 === 1 ? [] : rest.slice(0, size);
    const hashes = Buffer.alloc(page.length * 8);
    for (const [i, [, hash]] of page.entries()) hashes.writeBigUInt64BE(hash, i * 8);
    return { keys: page.map(([key]) => Buffer.from(key, 'hex')), hashes, more: rest.length > page.length };
  };
}

const keyHex = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const replica = fc
  .array(fc.tuple(keyHex, fc.bigInt(0n, 2n)), { maxLength: 30 })
  .map((pairs) => new Map(pairs));

describe('mergeScans', () => {
  it('meets every key once, in order, with all its holders (against a naive union)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(replica, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        async (replicas, size, hiccup) => {
          const seen: [string, [string, bigint][]][] = [];
          const cursors = replicas.map((entries, i) => createCursor(`n${i}`, scanOf(entries, size, hiccup)));
          await mergeScans(cursors, ({ key, hashes }) => seen.push([key.toString('hex'), [...hashes]]));
          const keys = [...new Set(replicas.flatMap((entries) => [...entries.keys()]))].sort();
          const expected = keys.map((key) => [
            key,
            replicas.flatMap((entries, i) => (entries.has(key) ? [[`n${i}`, entries.get(key)!]] : [])),
          ]);
          expect(seen).toEqual(expected);
        },
      ),
    );
  });

  it('refuses a page whose hashes do not fit its keys', async () => {
    const scan: Scan = async () => ({ keys: [Buffer.from('a')], hashes: Buffer.alloc(7), more: false });
    await expect(mergeScans([createCursor('n1', scan)], () => {})).rejects.toThrow(
      'n1 sent 1 keys but 7 bytes',
    );
  });
});

it.each([
  ['equal', { a: 1n, b: 1n, c: 1n }, undefined],
  ['one lacks it', { a: 1n, c: 1n }, { lacking: ['b'], differ: false }],
  ['one differs', { a: 1n, b: 2n, c: 1n }, { lacking: [], differ: true }],
  ['both', { b: 1n, c: 2n }, { lacking: ['a'], differ: true }],
  ['another node differs', { a: 1n, b: 1n, c: 1n, stranger: 2n }, undefined],
])('differenceOf: %s', (_name, holders, expected) => {
  expect(differenceOf(['a', 'b', 'c'], new Map(Object.entries(holders)))).toEqual(expected);
});

describe('verify', () => {
  const address = { key: 'video', eventType: 'view', granularity: 'hour', window: 3 } as const;
  const key = shardKey(address, tokenOf('video'), Buffer.alloc(16, 1)).toString('hex');

  function cluster(replicas: ReadonlyMap<string, bigint>[]) {
    const nodeIds = replicas.map((_, i) => `n${i + 1}`);
    const nodes = Object.fromEntries(
      replicas.map((entries, i) => [
        `127.0.0.1:${7101 + i}`,
        { describe: async () => description(nodeIds), scanLocal: scanOf(entries, 2) },
      ]),
    );
    return fakeEnvironment({ nodes });
  }

  it('equal replicas: 0', async () => {
    const environment = cluster([new Map([[key, 1n]]), new Map([[key, 1n]]), new Map([[key, 1n]])]);
    expect(await run(['verify'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/^clean: 1 entries, every replica equal \(3 nodes/);
  });

  it('differences: 1, and which', async () => {
    const environment = cluster([new Map([[key, 1n]]), new Map([[key, 2n]]), new Map()]);
    expect(await run(['verify', '--json'], environment)).toBe(1);
    const answer = JSON.parse(environment.stdout.text);
    expect(answer).toMatchObject({ clean: false, entries: 1, differences: 1, cells: 1 });
    expect(answer.found[0]).toMatchObject({
      key: 'video',
      granularity: 'hour',
      start: '1970-01-01T03:00:00.000Z',
      lacking: ['n3'],
      differ: true,
    });
  });

  it('a node that cannot be read: 3, and which', async () => {
    const environment = cluster([new Map([[key, 1n]]), new Map([[key, 1n]])]);
    const { connect } = environment;
    environment.connect = async (to) => ({
      ...(await connect(to)),
      ...(to.endsWith('7102') && { scanLocal: () => Promise.reject(new Error('connection refused')) }),
    });
    expect(await run(['verify'], environment)).toBe(3);
    expect(environment.stderr.text).toContain(
      'node n2 cannot be read, so nothing is verified: connection refused',
    );
  });
});
