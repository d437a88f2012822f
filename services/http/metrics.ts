import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const LATENCY_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What a service's HTTP server counts, in the service's registry. */
export function httpMetrics(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'tallyring_http_requests_total',
      help: 'HTTP requests by route and status',
      labelNames: ['route', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'tallyring_http_request_seconds',
      help: 'From the end of a request’s headers to the end of its answer',
      labelNames: ['route', 'status'],
      buckets: LATENCY_BUCKETS,
      registers,
    }),
    connections: new Gauge({ name: 'tallyring_http_connections', help: 'Open connections', registers }),
    cutOff: new Counter({
      name: 'tallyring_http_cut_off_total',
      help: 'Connections ended by the server, by reason',
      labelNames: ['reason'],
      registers,
    }),
  };
}

export type HttpMetrics = ReturnType<typeof httpMetrics>;
