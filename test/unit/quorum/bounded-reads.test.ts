import { describe, expect, it } from 'vitest';
import { Reads } from '../../../node/quorum/reads.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import { shardEntry, totalOf, World } from './world.js';

/** About this many bytes has a shard of these tests, key and value. */
const SHARD_BYTES = 80;

async function holding(shardsOf: Record<string, number>, maxBatchBytes: number) {
  const world = await World.open({ limits: { maxBatchBytes } });
  for (const node of Object.values(world.nodes)) {
    for (const [key, shards] of Object.entries(shardsOf)) {
      const entries = Array.from({ length: shards }, (_, i) => shardEntry({ key, producer: i + 1 }));
      await world.time.settle(node.context.replica.merge(entries));
    }
  }
  return world;
}

describe('answers bounded in bytes', () => {
  it('a replica answers the first rows that fit, one at least, and says which never will', async () => {
    const world = await holding({ small: 1, medium: 8, large: 60 }, 12 * SHARD_BYTES);
    const { replica } = world.node('a').context;
    const read = (...keys: string[]) =>
      world.time.settle(
        replica.read(
          keys.map((key) => totalOf(key)),
          false,
        ),
      );
    expect((await read('medium', 'small', 'medium')).whole).toEqual([true, true]); // the third goes next time
    const answer = await read('large', 'small');
    expect(answer).toMatchObject({ whole: [false, true], tooLarge: [0] });
    expect(answer.entries.map((entries) => entries.length)).toEqual([0, 1]);
  });

  it('a quorum read of many rows gets all of them, in several messages, and only the too large one fails', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `k${i}`);
    const shards = Object.fromEntries(keys.map((key, i) => [key, (i % 7) + 1]));
    const world = await holding({ ...shards, large: 60 }, 12 * SHARD_BYTES);
    const reads = new Reads(
      world.node('a').context,
      (key, incoming, held) => mergeValues(key, held, incoming) === 'incoming',
    );
    const rows = ['large', ...keys].map((key) => totalOf(key));
    const options = { level: 'QUORUM', timeoutMs: 5_000, ring: world.ring } as const;
    const [large, ...others] = await world.time.settle(reads.read(rows, options));
    expect(large).toMatchObject({
      error: { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/shorter/) },
    });
    expect(others.map((outcome) => ('ok' in outcome ? outcome.ok.length : outcome.error.code))).toEqual(
      Object.values(shards),
    );
    expect(world.calls.filter(({ kind }) => kind === 'read').length).toBeGreaterThan(5);
  });
});
