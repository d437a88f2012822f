import Table from 'cli-table3';
import type { RunResult } from './scenario.js';

const PLAIN = { head: [], border: [], compact: true };

/** What many runs come to together. */
export class Totals {
  seeds = 0;
  failed = 0;
  simulatedMs = 0;
  readonly #struck = new Map<string, { times: number; seeds: number }>();
  /** By what they depend on, in words. */
  readonly #tookMs = new Map<string, number[]>();

  add(result: RunResult): void {
    this.seeds++;
    this.simulatedMs += result.simulatedMs;
    if (result.violations.length > 0) this.failed++;
    for (const [name, times] of Object.entries(result.struck)) {
      const sum = this.#struck.get(name) ?? { times: 0, seeds: 0 };
      this.#struck.set(name, { times: sum.times + times, seeds: sum.seeds + 1 });
    }
    const kind = result.damaged ? 'a damaged record was left' : `${result.datacenters} datacenters`;
    const add = (what: string, tookMs: number | undefined) => {
      if (tookMs !== undefined) this.#tookMs.set(what, [...(this.#tookMs.get(what) ?? []), tookMs]);
    };
    add(kind, result.healedAfterMs);
    add(`${kind}: all events counted before`, result.countedAfterMs);
  }

  /** How often each fault struck, and how long all took to be equal once they were over. */
  table(): string {
    const struck = new Table({ head: ['fault', 'struck', 'in seeds'], style: PLAIN });
    for (const [name, { times, seeds }] of [...this.#struck].sort(([a], [b]) => a.localeCompare(b))) {
      struck.push([name, times, seeds]);
    }
    const head = ['runs', 'seeds', 'median s', 'p99 s', 'max s'];
    const healed = new Table({ head, style: PLAIN });
    for (const [kind, list] of [...this.#tookMs].sort(([a], [b]) => a.localeCompare(b))) {
      const sorted = list.sort((a, b) => a - b);
      const seconds = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1]! / 1000).toFixed(1);
      healed.push([kind, sorted.length, seconds(0.5), seconds(0.99), seconds(1)]);
    }
    return `${struck.toString()}\nAll replicas equal and nothing under way, after the faults were over:\n${healed.toString()}`;
  }
}
