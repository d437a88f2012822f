import type { Figure } from './figures.js';
import type { ProcessGroup } from './processes.js';

/** What one run shares among its benchmarks. */
export interface BenchContext {
  /** Length of one measured window. */
  seconds: number;
  /** Cells that are loaded for the memory of a node. */
  memoryCells: number;
  processes: ProcessGroup;
  /** Emptied at the start of a run and removed at its end. */
  workFolder: string;
  /** Kept from run to run: what peers need to be installed with. */
  peersFolder: string;
  /** Shows what is going on. */
  progress(text: string): void;
  /** Values of earlier benchmarks of this run, by figure name: later ones build on them. */
  measured: Map<string, number>;
}

export interface Benchmark {
  name: string;
  /** One line for --help. */
  title: string;
  run(context: BenchContext): Promise<Figure[]>;
}

/** Not measured before each window: node takes about this long to compile hot code (a gRPC echo grows tenfold). */
export const WARMUP_MS = 3_000;

/** Names of figures that other benchmarks read. */
export const DISTINCT_CELLS = 'distinct cells';
export const SKEWED_EVENTS = 'skewed events through count()';
