/** What a run measures: plain data, so that it travels between workers and into docs/scale/figures.json. */

/** Of many repetitions. */
export interface Spread {
  count: number;
  median: number;
  p99: number;
  max: number;
}

/** How news travels, and what gossip costs. Rounds are of one second. */
export interface GossipFigures {
  nodes: number;
  /** Rounds until every other living node knows: a node's changed status; a node that starts. */
  changeRounds: Spread;
  startRounds: Spread;
  /** Mean share of the nodes that know a changed status, by rounds since it was declared. */
  curve: { rounds: number; share: number }[];
  sentBytesPerNodeSecond: number;
  receivedBytesPerNodeSecond: number;
  /** Of the node that sent and received the most. */
  busiestBytesPerSecond: number;
  mostPeersARound: number;
  /** Real CPU time of this machine per node and simulated second, encoding and decoding included. */
  cpuMsPerNodeSecond: number;
  /** Convictions of living nodes, meanwhile. */
  falseConvictions: number;
  nodeHours: number;
  clusters: number;
  simulatedSecondsEach: number;
}

/** Seconds until a node whose machine vanished is convicted, over all living nodes. */
export interface DetectionFigures {
  nodes: number;
  victims: number;
  seconds: Spread;
  /** Verdicts that were still to come when the run ended. */
  missing: number;
}

export type PauseKind = 'none' | 'short' | 'long';

/** Convictions of nodes that lived. */
export interface ConvictionFigures {
  nodes: number;
  lossRate: number;
  pauses: PauseKind;
  convictions: number;
  nodeHours: number;
  perNodeHour: number;
  /** 95 % upper bound of the rate, also when none was seen. */
  atMostPerNodeHour: number;
  mostPeersARound: number;
}

export interface RingFigures {
  nodes: number;
  vnodes: number;
  /** Max/mean of primary ownership: the worst and the median of several ways to name the nodes. */
  worstBalance: number;
  medianBalance: number;
  /** Of all replicated data, the share copied when one more node joins, by the ideal 1/(n+1); the worst. */
  worstMovement: number;
  /** Share of keys whose replica set changes at all, by its ideal N/(n+1). */
  keysTouched: number;
  buildMs: number;
}

export interface Figures {
  machine: { cores: number; cpu: string; node: string };
  seconds: number;
  gossip: GossipFigures[];
  detection: DetectionFigures[];
  convictions: ConvictionFigures[];
  ring: RingFigures[];
}

/** Nearest-rank percentile of a list that is not empty. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('percentile of nothing');
  return value;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    count: values.length,
    median: percentile(values, 50),
    p99: percentile(values, 99),
    max: percentile(values, 100),
  };
}

/**
 * 95 % upper bound of a Poisson mean of which `seen` events were counted: 3.0 when none was, else Wilson and
 * Hilferty's approximation of χ²(0.95; 2·seen + 2) / 2.
 */
export function poissonBound(seen: number): number {
  const k = seen + 1;
  return k * (1 - 1 / (9 * k) + 1.645 / (3 * Math.sqrt(k))) ** 3;
}
