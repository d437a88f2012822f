import type { LogSource, SourcePage, SourceReadOptions } from '../../client/log-driven/source.js';
import type { WaitLimits } from '../../client/ports.js';
import { hash64 } from '../../ports/hash.js';
import type { EventLog, LogRecord } from '../log/log.js';

export interface LogSourceLimits {
  /** One page of records. */
  maxPageBytes: number;
  /** Of calls that do not say. */
  timeoutMs: number;
}

/** One partition of the event log as what an owner counts. */
export function logSource(log: EventLog, partition: number, limits: LogSourceLimits): LogSource<LogRecord> {
  const call = ({ timeoutMs = limits.timeoutMs, signal }: WaitLimits) => ({ timeoutMs, signal });
  return {
    logId: log.description.logId,
    bounds: (options) => log.bounds(partition, call(options)),
    async read(from: number, options: SourceReadOptions): Promise<SourcePage<LogRecord>> {
      const { maxPageBytes: maxBytes } = limits;
      const page = await log.read(partition, from, { ...call(options), maxBytes, waitMs: options.waitMs });
      return {
        records: page.records.map((record) => ({ offset: record.offset, record })),
        next: page.next,
        end: page.end,
      };
    },
    digest: ({ appendedAtMs, payload }) => `${appendedAtMs}:${hash64(payload).toString(36)}`,
    release: (before, options) => log.release(partition, before, call(options)),
  };
}
