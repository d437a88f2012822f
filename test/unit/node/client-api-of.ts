import { ClientApi } from '../../../node/client-api.js';
import { PlainCounting } from '../../../node/quorum/plain-counting.js';
import { Reads } from '../../../node/quorum/reads.js';
import { Writes } from '../../../node/quorum/writes.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import type { World } from '../quorum/world.js';

const ROLLUPS = ['total', 'hour'] as const;

/** What node a of a world does for clients. */
export function apiOf(world: World, isFull: (entryKey: Buffer) => boolean = () => false): ClientApi {
  const { context } = world.node('a');
  const writes = new Writes(context, () => undefined);
  const mint = () => Buffer.alloc(16, 9);
  return new ClientApi({
    context,
    writes,
    reads: new Reads(context, (key, incoming, held) => mergeValues(key, held, incoming) === 'incoming'),
    counting: new PlainCounting({ context, writes, rollups: ROLLUPS, mint }),
    rollups: ROLLUPS,
    describe: () => {
      throw new Error('not asked');
    },
    mint,
    isFull,
  });
}
