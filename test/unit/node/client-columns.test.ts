import { describe, expect, it } from 'vitest';
import { encodeBatch } from '../../../proto/batch.js';
import { type Column, encodeColumn } from '../../../proto/column.js';
import type { Entry } from '../../../proto/entry.js';
import { encodeRegister } from '../../../proto/register.js';
import { shardEntry, World } from '../quorum/world.js';
import { apiOf } from './client-api-of.js';

const options = { timeoutMs: 1_000 };
const HOUR_MS = 3_600_000;

async function opened(limits = {}) {
  const world = await World.open({ limits });
  const api = apiOf(world);
  const nowMs = () => world.node('a').context.clock.wallMs();
  const column = (name: string, more: Partial<Column> = {}): Column => ({
    name,
    text: `text of ${name}`,
    timeMs: nowMs(),
    logical: 0,
    writer: Buffer.alloc(16, 1),
    ...more,
  });
  const flush = (...entries: Entry[]) =>
    world.time.settle(
      api
        .flush({ ringEpoch: 1, level: 'QUORUM', batch: encodeBatch(entries) }, options)
        .catch((error) => error),
    );
  const read = async (...keys: string[]) =>
    (await world.time.settle(api.columns(keys, 'QUORUM', options))).map((outcome) =>
      'ok' in outcome ? outcome.ok : outcome.error.code,
    );
  return { world, api, nowMs, column, flush, read };
}

describe('columns at a node', () => {
  it('are written by a flush, beside shards, and read in order, the latest of any replica', async () => {
    const { world, column, flush, read } = await opened();
    const [title, channel] = [column('title'), column('channel', { text: null })];
    const entries = [title, channel].map((each) => encodeColumn('video', each));
    expect(await flush(...entries, shardEntry({}))).toEqual({ failures: [] });
    const later = { ...title, logical: 1, text: 'later' };
    await world.time.settle(world.node('b').context.replica.merge([encodeColumn('video', later)]));
    world.down.add('c');
    expect(await read('video', 'none', '')).toEqual([[channel, later], [], 'INVALID_ARGUMENT']);
    const lines = await world.node('a').content();
    expect(lines).toEqual(await world.node('b').content());
  });

  it('are read without the register of their name, and their cells without them', async () => {
    const { world, api, column, flush, read } = await opened();
    const { replica } = world.node('a').context;
    const record = encodeRegister('video', { epoch: 1, write: 1, quorum: [], value: null });
    await world.time.settle(replica.merge([record, shardEntry({})]));
    const title = column('title');
    await flush(encodeColumn('video', title));
    expect(await read('video')).toEqual([[title]]);
    const cell = { key: 'video', eventType: 'view' };
    expect(await world.time.settle(api.get([cell], 'QUORUM', options))).toMatchObject([{ ok: { count: 1 } }]);
  });

  it('are refused whole with a time more than an hour ahead, or a text over the limit', async () => {
    const { column, flush, read, nowMs } = await opened({ maxColumnBytes: 20 });
    const ok = encodeColumn('video', column('ok', { timeMs: nowMs() + HOUR_MS - 1_000 }));
    const ahead = encodeColumn('video', column('ahead', { timeMs: nowMs() + HOUR_MS + 1_000 }));
    expect(await flush(ok, ahead)).toMatchObject({ code: 'INVALID_ARGUMENT', message: /an hour ahead/ });
    const long = encodeColumn('video', column('long', { text: 'ä'.repeat(11) }));
    expect(await flush(ok, long)).toMatchObject({ code: 'INVALID_ARGUMENT', message: /20 bytes/ });
    expect(await read('video')).toEqual([[]]);
    expect(await flush(ok)).toEqual({ failures: [] });
    const record = encodeRegister('video', { epoch: 1, write: 1, quorum: [], value: null });
    expect(await flush(record)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('are at most so many a key: known ones go on, new ones are refused alone', async () => {
    const { column, flush, read } = await opened({ maxColumnsPerKey: 3 });
    const entry = (name: string, more: Partial<Column> = {}) => encodeColumn('video', column(name, more));
    expect(await flush(entry('a'), entry('b', { text: null }))).toEqual({ failures: [] });
    const reply = await flush(entry('c'), entry('d'), entry('a', { logical: 1 }), entry('e'));
    const failures = (reply as { failures: { indexes: number[]; error: { code: string } }[] }).failures;
    expect(failures.flatMap(({ indexes }) => indexes)).toEqual([1, 3]);
    expect(failures[0]!.error).toMatchObject({ code: 'OVERLOADED', retryable: false });
    expect(((await read('video'))[0] as Column[]).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(await flush(encodeColumn('other', column('d')), entry('b', { logical: 1 }))).toEqual({
      failures: [],
    });
  });

  it('are let in where a cell is full, which refuses new producers alone', async () => {
    const { world, column, read } = await opened();
    const api = apiOf(world, () => true);
    await world.time.settle(world.node('a').context.replica.merge([shardEntry({ producer: 1 })]));
    const entries = [
      shardEntry({ producer: 1, sequence: 2 }),
      shardEntry({ producer: 2 }),
      encodeColumn('video', column('title')),
    ];
    const request = { ringEpoch: 1, level: 'QUORUM', batch: encodeBatch(entries) } as const;
    const { failures } = await world.time.settle(api.flush(request, options));
    expect(failures).toMatchObject([{ indexes: [1], error: { code: 'OVERLOADED', retryable: false } }]);
    expect((await read('video'))[0]).toHaveLength(1);
  });

  it('come for the first keys that an answer holds', async () => {
    const { column, flush, read } = await opened({ maxBatchBytes: 2_000 });
    const text = 'x'.repeat(600);
    for (const key of ['x', 'y', 'z']) {
      await flush(encodeColumn(key, column('a', { text })), encodeColumn(key, column('b', { text })));
    }
    expect((await read('none', 'x', 'y', 'z')).map((columns) => columns.length)).toEqual([0, 2]);
  });
});
