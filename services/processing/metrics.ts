import { Gauge, type Registry } from 'prom-client';
import type { ProcessingHealth } from './health.js';

/** What counting does, from its health at the moment of the scrape. */
export function processingMetrics(registry: Registry, health: () => ProcessingHealth): void {
  const registers = [registry];
  for (const what of ['counted', 'duplicates', 'rejected'] as const) {
    new Gauge({
      name: `tallyring_events_${what}`,
      help: `Events since the start that were ${what === 'duplicates' ? 'dropped as retries' : what}`,
      registers,
      collect() {
        this.set(health()[what]);
      },
    });
  }
  new Gauge({
    name: 'tallyring_partition_lag_events',
    help: 'Events in the log that are not counted yet, by owned partition',
    labelNames: ['partition'],
    registers,
    collect() {
      this.reset();
      for (const { partition, state, lag } of health().partitions) {
        if (state === 'owner' && lag !== undefined) this.set({ partition }, lag);
      }
    },
  });
  new Gauge({
    name: 'tallyring_partitions',
    help: 'Partitions that are this instance’s, by state; waiting: an owner that tries again',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const state of ['owner', 'waiting', 'standby', 'stopped']) this.set({ state }, 0);
      for (const { state, error } of health().partitions) {
        this.inc({ state: state === 'owner' && error !== undefined ? 'waiting' : state });
      }
    },
  });
}
