import type { Outcome, ProducerShard } from '../proto/calls.js';
import type { CellAddress } from '../proto/entry.js';
import type { ClientParts } from './parts.js';
import type { ReadPlan } from './reader.js';

/**
 * All shards of each cell: what every producer contributed, not summed. One outcome per cell, in order; rejects
 * only with the signal's reason.
 */
export function readShards(
  { reader }: Pick<ClientParts, 'reader'>,
  cells: readonly CellAddress[],
  plan: ReadPlan,
): Promise<Outcome<ProducerShard[]>[]> {
  return reader.readInParts<CellAddress, ProducerShard[]>(
    cells,
    (connection, asked, level, options) => connection.shards(asked, level, options),
    plan,
  );
}
