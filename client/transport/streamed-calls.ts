import type { Client } from '@grpc/grpc-js';
import { windowMs } from '../../counter/window.js';
import type { Clock, Timers } from '../../ports/clock.js';
import type { StatsQuery } from '../../proto/calls.js';
import * as convert from '../../proto/convert.js';
import { counterService as counter } from '../../proto/load.js';
import type { NodeConnection } from '../transport.js';
import { CallStream } from './call-stream.js';
import { checkCount } from './unary.js';

export interface StreamedCalls extends Pick<NodeConnection, 'flush' | 'get' | 'stats'> {
  /** Whether the answers are so short that they hold up no others on their stream. */
  areShort(queries: readonly StatsQuery[]): boolean;
  close(): void;
}

/** Points of all series of one message. */
const MAX_POINTS = 2_000;

/** The calls that are made so often that they go over streams: flushes, and reads of cells and short series. */
export function streamedCalls(parts: {
  client: Client;
  address: string;
  clock: Clock;
  timers: Timers;
}): StreamedCalls {
  const flushes = new CallStream({ ...parts, method: counter.Flush, writes: true });
  const queries = new CallStream({ ...parts, method: counter.Query, writes: false });
  return {
    async flush(request, options) {
      return convert.flushReplyFromWire(await flushes.call(convert.flushToWire(request), options));
    },
    async get(asked, level, options) {
      const reply = await queries.call(convert.queryToWire({ cells: asked }, level), options);
      checkCount(reply.outcomes.length, asked.length);
      return convert.cellOutcomesFromWire(reply);
    },
    async stats(asked, level, options) {
      const reply = await queries.call(convert.queryToWire({ stats: asked }, level), options);
      checkCount(reply.stats.length, asked.length);
      return convert.statsOutcomesFromWire(reply.stats);
    },
    areShort: (asked) => asked.reduce((points, query) => points + pointsOf(query), 0) <= MAX_POINTS,
    close() {
      flushes.close();
      queries.close();
    },
  };
}

function pointsOf({ startMs, endMs, granularity }: StatsQuery): number {
  if (granularity === undefined) return 1;
  return 1 + Math.max(0, endMs - startMs) / windowMs(granularity);
}
