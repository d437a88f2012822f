import type { CellValue } from '../counter/shard.js';
import type { Clock } from '../ports/clock.js';
import type { CellQuery, Outcome } from '../proto/calls.js';
import { Coalescer } from '../proto/coalesce.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { NodeConnection } from './transport.js';

const MAX_IN_FLIGHT = 4;
/** Of one call; nodes take at most 1,000. */
const MAX_QUERIES = 500;

/** The same connection, with concurrent `get` calls of one level going together while the node is busy. */
export function coalesceGets(connection: NodeConnection, clock: Clock): NodeConnection {
  const byLevel = new Map<ConsistencyLevel, Coalescer<CellQuery, Outcome<CellValue>>>();
  const coalescer = (level: ConsistencyLevel) => {
    let found = byLevel.get(level);
    if (found === undefined) {
      const send = (queries: readonly CellQuery[], timeoutMs: number) =>
        connection.get(queries, level, { timeoutMs });
      found = new Coalescer({ clock, maxInFlight: MAX_IN_FLIGHT, maxItems: MAX_QUERIES, send });
      byLevel.set(level, found);
    }
    return found;
  };
  return {
    address: connection.address,
    describe: (options) => connection.describe(options),
    mintProducer: (request, options) => connection.mintProducer(request, options),
    flush: (request, options) => connection.flush(request, options),
    increment: (requests, level, options) => connection.increment(requests, level, options),
    // One that may be aborted goes alone: aborting it must not abort others.
    get: (queries, level, options) =>
      options.signal === undefined
        ? coalescer(level).ask(queries, options.timeoutMs)
        : connection.get(queries, level, options),
    stats: (queries, level, options) => connection.stats(queries, level, options),
    shards: (cells, level, options) => connection.shards(cells, level, options),
    columns: (keys, level, options) => connection.columns(keys, level, options),
    acquireRegister: (name, options) => connection.acquireRegister(name, options),
    writeRegister: (name, record, options) => connection.writeRegister(name, record, options),
    readRegister: (name, options) => connection.readRegister(name, options),
    close: () => connection.close(),
  };
}
