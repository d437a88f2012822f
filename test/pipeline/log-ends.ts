import type { EventLog } from '../../services/log/log.js';

const CALL = { timeoutMs: 5_000 };

/** Records that were ever appended, in all partitions. */
export async function endOf(log: EventLog): Promise<number> {
  const partitions = Array.from({ length: log.description.partitions }, (_, i) => i);
  const bounds = await Promise.all(partitions.map((partition) => log.bounds(partition, CALL)));
  return bounds.reduce((sum, { end }) => sum + end, 0);
}
