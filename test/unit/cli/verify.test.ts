import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import { createCursor, differenceOf, mergeScans, type Scan } from '../../../cli/verify-merge.js';
import { shardKey, tokenOf } from '../../../proto/entry.js';
import { description, fakeEnvironment, report } from './fake-environment.js';

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
    expect(environment.stdout.text).toMatch(/^clean: 1 entry, every replica equal \(3 nodes, 1 pass, /);
    expect(environment.slept).toEqual([]);
    expect(environment.stderr.text).toBe('');
  });

  const keyOf = (name: string, producer = 1) =>
    shardKey({ ...address, key: name }, tokenOf(name), Buffer.alloc(16, producer)).toString('hex');

  /** Two replicas, of which each pass sees others; `n2` lacks what is named. */
  function passes(lacking: string[][], names = ['a', 'b', 'c']) {
    const all = new Map(names.map((name) => [keyOf(name), 1n]));
    let pass = -1;
    const nodes = {
      '127.0.0.1:7101': {
        describe: async () => {
          pass++;
          return description(['n1', 'n2']);
        },
        scanLocal: scanOf(all, 100),
      },
      '127.0.0.1:7102': {
        scanLocal: (after: Buffer | undefined) => {
          const missing = lacking[pass]!.map((name) => keyOf(name));
          const entries = [...all].filter(([key]) => !missing.includes(key));
          return scanOf(new Map(entries), 100)(after);
        },
      },
    };
    return fakeEnvironment({ nodes });
  }

  it('what is gone a moment later was no difference: 0', async () => {
    const environment = passes([['a'], []]);
    expect(await run(['verify'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/^clean: 3 entries, every replica equal \(2 nodes, 2 passes, /);
    expect(environment.stderr.text).toBe('1 cell differs now; looking again\n');
    expect(environment.slept).toEqual([2_000]);
  });

  it('reports what differs in the last pass and differed before', async () => {
    const environment = passes([['a', 'b'], ['b'], ['b', 'c']]);
    expect(await run(['verify'], environment)).toBe(1);
    expect(environment.stderr.text).toBe(
      '2 cells differ now; looking again\n1 cell differs now; looking again\n',
    );
    const lines = environment.stdout.text.split('\n');
    expect(lines[0]).toBe('Repair and hints go on by themselves; run verify again in a few seconds.');
    expect(lines[1]).toMatch(/^1 cell differs, in 1 of 3 entries \(2 nodes, 3 passes, /);
    expect(lines[2]).toBe('  b  view  hour 1970-01-01T03:00:00.000Z: lacking on n2 (1 entry)');
    expect(lines[3]).toBe('1 more cell differs for the first time: most likely just being written');
  });

  it('every pass finds something, but nothing twice: 0, and it says so', async () => {
    const environment = passes([['a'], ['b'], ['c']]);
    expect(await run(['verify'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/^clean: 3 entries, no cell differs for longer than a moment \(/);
  });

  it('lists twenty cells at most, a line each, and tells of hints', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `v${i}`);
    const environment = passes([names, names, names], names);
    const { connect } = environment;
    environment.connect = async (to) => ({
      ...(await connect(to)),
      report: async () => ({ ...report(['n1', 'n2']), hints: { n2: to.endsWith('7101') ? 1_000 : 0 } }),
    });
    expect(await run(['verify'], environment)).toBe(1);
    expect(environment.stdout.text).toContain('by themselves (hints that wait: 1,000 for n2);');
    expect(environment.stdout.text.match(/lacking on n2/g)).toHaveLength(20);
    expect(environment.stdout.text).toContain('\n  … and 5 more cells\n');
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
