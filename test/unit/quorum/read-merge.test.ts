import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeAnswers } from '../../../node/quorum/read-merge.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import { decodeShard, type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';

const cell = { key: 'video', eventType: 'view', granularity: 'total', window: 0 } as const;

function entry(producer: number, sequence: number): Entry {
  const key = shardKey(cell, tokenOf(cell.key), Buffer.alloc(16, producer));
  return encodeShard(key, { sequence, count: sequence, sum: sequence * 2, min: 1, max: 3 });
}

const supersedes = (key: Buffer, incoming: Buffer, held: Buffer) =>
  mergeValues(key, held, incoming) === 'incoming';

const versions = (entries: readonly Entry[]) =>
  Object.fromEntries(entries.map(({ key, value }) => [key.at(-1)!, decodeShard(value).sequence]));

it('gives the newest state of every producer, and to each replica just what it lacks of that', () => {
  const held = fc.dictionary(fc.constantFrom('1', '2', '3', '4'), fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(fc.array(held, { minLength: 1, maxLength: 4 }), (replicas) => {
      const answers = new Map(
        replicas.map((shards, i) => [`n${i}`, Object.entries(shards).map(([p, s]) => entry(Number(p), s))]),
      );
      const newest: Record<string, number> = {};
      for (const shards of replicas) {
        for (const [p, s] of Object.entries(shards)) newest[p] = Math.max(newest[p] ?? 0, s);
      }
      const merged = mergeAnswers(answers, supersedes);
      expect(versions(merged.entries)).toEqual(newest);
      for (const [i, shards] of replicas.entries()) {
        const lacks = Object.fromEntries(Object.entries(newest).filter(([p, s]) => shards[p] !== s));
        expect(versions(merged.stale.get(`n${i}`) ?? [])).toEqual(replicas.length === 1 ? {} : lacks);
      }
    }),
  );
});
