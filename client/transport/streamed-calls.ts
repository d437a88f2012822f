import type { Client } from '@grpc/grpc-js';
import type { Clock, Timers } from '../../ports/clock.js';
import * as convert from '../../proto/convert.js';
import { counterService as counter } from '../../proto/load.js';
import type { NodeConnection } from '../transport.js';
import { CallStream } from './call-stream.js';
import { checkCount } from './unary.js';

export interface StreamedCalls extends Pick<NodeConnection, 'flush' | 'get'> {
  close(): void;
}

/** The calls that are made so often that each has a stream of its own: flushes and reads of cells. */
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
      const reply = await queries.call(convert.queryToWire(asked, level), options);
      checkCount(reply.outcomes.length, asked.length);
      return convert.cellOutcomesFromWire(reply);
    },
    close() {
      flushes.close();
      queries.close();
    },
  };
}
