import type { DrillCluster } from '../drill-cluster.js';

/** One figure of a drill's outcome. */
export interface Finding {
  what: string;
  value: string;
}

export interface DrillOptions {
  cluster: DrillCluster;
  /** How long the drill counts. */
  seconds: number;
  say(line: string): void;
}

/** A way to hurt a running cluster, and what must hold all the same. Throws when it does not. */
export interface Drill {
  name: string;
  title: string;
  run(options: DrillOptions): Promise<Finding[]>;
}

export function mustBe(what: string, found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}
