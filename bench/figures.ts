/** What DESIGN's budget asks of a figure: the first bar, and where it must get. */
export interface Bar {
  kind: 'at least' | 'at most';
  /** Absent where only a goal is set. */
  first?: number;
  goal: number;
}

/** One measured number, as the table and the JSON show it. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  bar?: Bar;
  /** Whether the first bar (the goal where there is no other) was met; absent for a figure without a bar. */
  met?: boolean;
  /** Whether it already is where it must get. */
  goalMet?: boolean;
  /** How it was measured. */
  detail: string;
}

/** The budgets: first bar and goal. */
export const BARS = {
  distinctCells: { kind: 'at least', first: 30_000, goal: 100_000 },
  /** Distinct cells against Redis' INCR in the same run: over half. */
  distinctCellsOverRedis: { kind: 'at least', goal: 0.5 },
  /** Against Cassandra's synced counters in the same run. */
  distinctCellsOverCassandra: { kind: 'at least', goal: 50 },
  skewedEvents: { kind: 'at least', first: 300_000, goal: 1_000_000 },
  unaryOverEcho: { kind: 'at least', first: 40, goal: 70 },
  readP99: { kind: 'at most', first: 50, goal: 10 },
  /** The whole pipeline: from the append over HTTP until counted at QUORUM. */
  pipelineEvents: { kind: 'at least', goal: 50_000 },
  statsP99: { kind: 'at most', goal: 20 },
  eventVisible: { kind: 'at most', goal: 2_000 },
  nodeMemory: { kind: 'at most', first: 300, goal: 150 },
} as const satisfies Record<string, Bar>;

function holds(bar: Bar, limit: number, value: number): boolean {
  return bar.kind === 'at least' ? value >= limit : value <= limit;
}

/** A figure with its verdict. */
export function judged(figure: Omit<Figure, 'met' | 'goalMet'>): Figure {
  const { bar, value } = figure;
  if (!bar) return figure;
  const goalMet = holds(bar, bar.goal, value);
  return { ...figure, met: bar.first === undefined ? goalMet : holds(bar, bar.first, value), goalMet };
}
