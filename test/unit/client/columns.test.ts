import { describe, expect, it } from 'vitest';
import type { TallyringClient } from '../../../client/client.js';
import { encodeBatch } from '../../../proto/batch.js';
import { encodeColumn } from '../../../proto/column.js';
import { errorOf, fakeCluster } from './open-client.js';

/** What a client reads of one key. */
async function read(world: ReturnType<typeof fakeCluster>, client: TallyringClient, key = 'video') {
  const [outcome] = await world.time.settle(client.getColumns([key]));
  if (outcome!.error) throw outcome!.error;
  return Object.fromEntries([...outcome!.value].map(([name, { value }]) => [name, value]));
}

describe('columns', () => {
  it('are read as they were set, changed and deleted, by any client', async () => {
    const world = fakeCluster();
    const { time, clock, open } = world;
    const [one, two] = [await open(), await open()];
    const beforeMs = clock.wallMs();
    await time.settle(one.setColumns('video', { title: 'Cats', channel: 'c1', empty: '' }));
    await time.settle(two.setColumns('video', { title: 'Katzen 😺', channel: null, language: 'de' }));
    expect(await read(world, one)).toEqual({ title: 'Katzen 😺', empty: '', language: 'de' });
    expect(await read(world, two, 'other')).toEqual({});
    const [outcome] = await time.settle(two.getColumns(['video']));
    const at = outcome!.value!.get('title')!.at.getTime();
    expect(at).toBeGreaterThanOrEqual(beforeMs);
    expect(at).toBeLessThanOrEqual(clock.wallMs());
  });

  /** Writes as one whose clock is ahead. */
  async function writeAhead({ time, clock, cluster }: ReturnType<typeof fakeCluster>, aheadMs: number) {
    const timeMs = clock.wallMs() + aheadMs;
    const column = { name: 'title', text: 'ahead', timeMs, logical: 4, writer: Buffer.alloc(16, 255) };
    const batch = encodeBatch([encodeColumn('video', column)]);
    const connection = cluster.connect(cluster.nodes[0]!.address);
    await time.settle(connection.flush({ ringEpoch: 1, level: 'QUORUM', batch }, { timeoutMs: 1_000 }));
  }

  it('say so where what stands is too far ahead to be followed, and write nothing', async () => {
    const world = fakeCluster();
    const { time, open } = world;
    const client = await open();
    await writeAhead(world, 3 * 3_600_000);
    const set = (name: string) => client.setColumns('video', { [name]: 'x', more: 'x' });
    expect(await time.settle(errorOf(set('title')))).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await read(world, client)).toEqual({ title: 'ahead' });
    await time.settle(set('other'));
    expect(await read(world, client)).toEqual({ title: 'ahead', other: 'x', more: 'x' });
  });

  it('follow what was acknowledged before, however far behind the clock of their writer is', async () => {
    const world = fakeCluster();
    const { time, open } = world;
    const client = await open();
    await writeAhead(world, 3_000_000);
    await time.settle(client.setColumns('video', { title: 'later' }));
    expect(await read(world, client)).toEqual({ title: 'later' });
    await time.settle(client.setColumns('video', { title: null }));
    expect(await read(world, client)).toEqual({});
  });

  it('are written again until they are acknowledged, as one write', async () => {
    const world = fakeCluster();
    const { time, cluster, open } = world;
    const client = await open();
    const faults = ['lostAfter', 'resetBefore', 'stale', 'resetAfter', 'partial'] as const;
    let flushes = 0;
    cluster.faultOf = () => faults[flushes++] ?? 'none';
    await time.settle(client.setColumns('video', { title: 'Cats', channel: 'c1' }, { timeoutMs: 60_000 }));
    expect(flushes).toBeGreaterThanOrEqual(5);
    expect(await read(world, client)).toEqual({ title: 'Cats', channel: 'c1' });
    const values = cluster.nodes.map(({ columns }) =>
      [...columns.values()].map(({ value }) => value.toString('hex')),
    );
    expect(values[1]).toEqual(values[0]);
    expect(values[2]).toEqual(values[0]);
  });

  it('go in batches that a node takes', async () => {
    const world = fakeCluster();
    const client = await world.open();
    const texts = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`c${i}`, String(i).repeat(500)]));
    await world.time.settle(client.setColumns('video', texts));
    expect(await read(world, client)).toEqual(texts);
    expect(world.cluster.flushLevels.length).toBeGreaterThan(3);
  });

  it('come for many keys, in their order, though an answer holds only some', async () => {
    const world = fakeCluster();
    const { time, cluster, open } = world;
    const client = await open();
    const keys = Array.from({ length: 9 }, (_, i) => `k${i}`);
    for (const key of keys) await time.settle(client.setColumns(key, { name: key }));
    cluster.cellsPerAnswer = 2;
    const outcomes = await time.settle(client.getColumns(keys));
    expect(outcomes.map((outcome) => outcome.value?.get('name')?.value)).toEqual(keys);
  });

  it('end their wait: below the level, with a signal, after close', async () => {
    const { time, cluster, open } = fakeCluster();
    const client = await open();
    for (const node of cluster.nodes.slice(0, 2)) node.state = 'refusing';
    const set = (options: object) => errorOf(client.setColumns('video', { title: 'x' }, options));
    expect(await time.settle(set({ timeoutMs: 3_000 }))).toMatchObject({ code: 'UNAVAILABLE' });
    const [outcome] = await time.settle(client.getColumns(['video'], { timeoutMs: 1_000 }));
    expect(outcome).toMatchObject({ error: { code: 'UNAVAILABLE' } });
    for (const node of cluster.nodes) node.state = 'stalled';
    const abort = new AbortController();
    const aborted = set({ signal: abort.signal });
    time.after(50, () => abort.abort(new Error('enough')));
    expect((await time.settle(aborted)).message).toBe('enough');
    await time.settle(client.close());
    expect(await set({})).toMatchObject({ code: 'CLOSED' });
  });

  const wrong: [string, unknown, unknown][] = [
    ['an empty key', '', { title: 'x' }],
    ['an empty name', 'k', { '': 'x' }],
    ['a long name', 'k', { ['n'.repeat(129)]: 'x' }],
    ['a text that is none', 'k', { title: 7 }],
    ['no text', 'k', { title: undefined }],
    ['a lone surrogate', 'k', { title: '\ud800' }],
    ['a long text', 'k', { title: 'ä'.repeat(16 * 1024 + 1) }],
    ['too many', 'k', Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`c${i}`, 'x']))],
  ];
  it.each(wrong)('are refused, and nothing is sent: %s', async (_, key, texts) => {
    const { time, cluster, open } = fakeCluster();
    const client = await open();
    const error = errorOf(client.setColumns(key as string, texts as Record<string, string>));
    expect(await time.settle(error)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const { calls } of cluster.nodes)
      expect([calls.flush, calls.columns]).toEqual([undefined, undefined]);
  });
});
