import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { LogCore } from './core.js';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SIZE_BUCKETS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536];

export type LogMetrics = ReturnType<typeof createLogMetrics>;

/** Every metric of the log, in a registry of its own. Gauges are read from the log when they are asked for. */
export function createLogMetrics(stats: () => LogCore['stats'] | undefined) {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (
    name: string,
    help: string,
    of: (partition: LogCore['stats']['partitions'][number]) => number,
  ) =>
    new Gauge({
      name: `tallyring_log_${name}`,
      help,
      labelNames: ['partition'],
      registers,
      collect() {
        for (const one of stats()?.partitions ?? []) this.set({ partition: one.partition }, of(one));
      },
    });
  const total = (name: string, help: string, of: (all: LogCore['stats']) => number) =>
    new Gauge({
      name: `tallyring_log_${name}`,
      help,
      registers,
      collect() {
        const all = stats();
        if (all !== undefined) this.set(of(all));
      },
    });
  gauge('start_offset', 'First offset that is retained', ({ start }) => start);
  gauge('end_offset', 'Offset that the next record gets', ({ end }) => end);
  gauge('released_offset', 'Offset that processing needs nothing before', ({ released }) => released);
  gauge('bytes', 'Bytes retained', ({ bytes }) => bytes);
  total('waiting_reads', 'Reads that wait for records', ({ waitingReads }) => waitingReads);
  total('pending_bytes', 'Bytes of appends that wait for the disk', ({ pendingBytes }) => pendingBytes);
  total('dead_letters', 'Dead letters that are held', ({ deadLetters }) => deadLetters);
  total(
    'damaged_partitions',
    'Partitions that lack records which were acknowledged',
    ({ damaged }) => damaged,
  );
  return {
    registry,
    requests: new Counter({
      name: 'tallyring_log_requests_total',
      help: 'Calls by method and result code',
      labelNames: ['call', 'code'],
      registers,
    }),
    commits: new Counter({ name: 'tallyring_log_commits_total', help: 'Synced batches', registers }),
    commitRecords: new Histogram({
      name: 'tallyring_log_commit_records',
      help: 'Records per synced batch',
      buckets: SIZE_BUCKETS,
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'tallyring_log_commit_seconds',
      help: 'Duration of one synced batch',
      buckets: LATENCY_BUCKETS,
      registers,
    }),
  };
}
