import type { Finding } from '../../chaos/drills/drill.js';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import type { LogKind } from '../logs/drill-log.js';
import type { Pipeline } from '../pipeline.js';
import type { PipelineSettings } from '../pipeline-config.js';

export interface DrillContext {
  /** It runs. */
  pipeline: Pipeline;
  /** How long the drill goes on; drills that end by themselves do not look at it. */
  seconds: number;
  random: SeededRandom;
  say(line: string): void;
}

/** Something that happens to a running pipeline, and what must hold all the same. Throws when it does not. */
export interface PipelineDrill {
  name: string;
  title: string;
  /** How long by command, and in `npm test`. */
  seconds: { long: number; short: number };
  instances: number;
  settings?: PipelineSettings;
  /** On which logs it makes sense. */
  logs: readonly LogKind[];
  run(context: DrillContext): Promise<Finding[]>;
}
