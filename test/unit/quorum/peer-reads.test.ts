import { describe, expect, it } from 'vitest';
import { PeerReads } from '../../../node/quorum/peer-reads.js';
import { decodeShard } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import { shardEntry, totalOf, World } from './world.js';

const of = { nodeId: 'b', one: false, epoch: 1, timeoutMs: 1_000 };

async function asking() {
  const world = await World.open();
  for (let i = 0; i < 20; i++) {
    const entry = shardEntry({ key: `video-${i}`, sequence: i + 1 });
    await world.time.settle(world.node('b').context.replica.merge([entry]));
  }
  const peerReads = new PeerReads(world.node('a').context);
  const ask = (keys: number[], facts = of) =>
    peerReads.ask(
      keys.map((i) => totalOf(`video-${i}`)),
      facts,
    );
  return { world, ask };
}

describe('reads of peers', () => {
  it('go together while the peer is busy, and each caller gets its own rows in order', async () => {
    const { world, ask } = await asking();
    world.fate = () => ({ delayMs: 20 });
    const keys = Array.from({ length: 12 }, (_, i) => [i, (i * 7) % 20, 19 - i]);
    const answers = await world.time.settle(Promise.all(keys.map((own) => ask(own))));
    for (const [i, rows] of answers.entries()) {
      const sequences = rows.map((row) => decodeShard(row.entries[0]!.value).sequence);
      expect(sequences).toEqual(keys[i]!.map((key) => key + 1));
    }
    expect(world.calls).toHaveLength(5); // four at once, all others in the fifth
  });

  it('of different levels never go together', async () => {
    const { world, ask } = await asking();
    world.node('b').whole = false;
    const both = Promise.all([ask([1]), ask([1], { ...of, one: true })]);
    const [quorum, one] = await world.time.settle(both);
    expect([quorum[0]!.whole, one[0]!.whole]).toEqual([false, true]);
  });

  it('fail together with their message, and the next ones go on', async () => {
    const { world, ask } = await asking();
    world.fate = ({ sent }) => (sent < 4 ? new TallyringError('OVERLOADED', 'full') : undefined);
    const all = Promise.allSettled([1, 2, 3, 4, 5].map((i) => ask([i])));
    const states = (await world.time.settle(all)).map(({ status }) => status);
    expect(states).toEqual(['rejected', 'rejected', 'rejected', 'rejected', 'fulfilled']);
  });

  it('refuses an answer with another number of rows', async () => {
    const { world, ask } = await asking();
    const { replica } = world.node('b').context;
    const read = replica.read.bind(replica);
    replica.read = (queries, one) => read(queries.slice(1), one);
    await expect(world.time.settle(ask([1, 2]))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
