import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Of the events on their way into the log. `load`: what waits for it now. */
export function intakeMetrics(registry: Registry, load: () => { requests: number; bytes: number }) {
  const registers = [registry];
  new Gauge({
    name: 'tallyring_log_requests_waiting',
    help: 'Requests whose append the log has not answered',
    registers,
    collect() {
      this.set(load().requests);
    },
  });
  new Gauge({
    name: 'tallyring_log_bytes_waiting',
    help: 'Bytes of the records of these requests',
    registers,
    collect() {
      this.set(load().bytes);
    },
  });
  return {
    accepted: new Counter({
      name: 'tallyring_events_accepted_total',
      help: 'Events that the log has durably',
      registers,
    }),
    rejected: new Counter({
      name: 'tallyring_events_rejected_total',
      help: 'Events that were not taken, of requests that were',
      registers,
    }),
    appendSeconds: new Histogram({
      name: 'tallyring_log_append_seconds',
      help: 'From the checked request to the answer of the log',
      buckets: SECONDS,
      registers,
    }),
  };
}

export type IntakeMetrics = ReturnType<typeof intakeMetrics>;
