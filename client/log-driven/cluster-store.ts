import type { Flush, FlushCell } from '../../counter/producer.js';
import type { Shard } from '../../counter/shard.js';
import type { Granularity } from '../../counter/window.js';
import type { ProducerShard } from '../../proto/calls.js';
import { errorFromData, TallyringError } from '../../proto/errors.js';
import { mintFrom } from '../identity.js';
import type { ClientParts } from '../parts.js';
import { readShards } from '../shards.js';
import { persist } from './record-reader.js';
import type { ShardStore, Waiting } from './shard-store.js';
import { ShardWriter } from './shard-writer.js';

/** Cells that are read in one go. */
const READ_CELLS = 2_000;

/** The cluster as an owner's store. */
export class ClusterStore implements ShardStore {
  readonly #parts: ClientParts;
  readonly #writer: ShardWriter;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#writer = new ShardWriter(parts);
  }

  get rollups(): readonly Granularity[] {
    return this.#parts.topology.description.rollups;
  }

  mint(above: Buffer | undefined, waiting: Waiting): Promise<Buffer> {
    const { topology, limits, ports } = this.#parts;
    return persist({ ...ports, waiting }, async () => {
      const minted = await mintFrom(topology, { above, kind: 'log' }, limits.attemptTimeoutMs);
      if (above === undefined || minted.compare(above) > 0) return minted;
      throw new TallyringError('INTERNAL', 'a node minted a producerId that is not younger');
    });
  }

  async readShards(
    cells: readonly FlushCell[],
    producerId: Buffer,
    waiting: Waiting,
  ): Promise<(Shard | undefined)[]> {
    const held: (Shard | undefined)[] = [];
    for (let at = 0; at < cells.length; at += READ_CELLS) {
      for (const shards of await this.#read(cells.slice(at, at + READ_CELLS), waiting)) {
        held.push(shards.find((shard) => shard.producerId.equals(producerId)));
      }
    }
    return held;
  }

  #read(cells: readonly FlushCell[], waiting: Waiting): Promise<ProducerShard[][]> {
    const { reader, limits, ports } = this.#parts;
    const addresses = cells.map(({ series: { key, eventType }, granularity, window }) => ({
      ...{ key, eventType, granularity, window },
    }));
    const plan = { level: 'QUORUM', timeoutMs: limits.requestTimeoutMs, signal: waiting.signal } as const;
    return persist({ ...ports, waiting }, async () => {
      const outcomes = await readShards({ reader }, addresses, plan);
      return outcomes.map((outcome) => {
        if ('error' in outcome) throw errorFromData(outcome.error);
        return outcome.ok;
      });
    });
  }

  write(flush: Flush, waiting: Waiting, spreadMs: number): Promise<void> {
    return this.#writer.write(flush, waiting, spreadMs);
  }
}
