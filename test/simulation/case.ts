import type { Limits } from '../../node/config.js';
import type { SimConfiguration } from './configuration.js';
import type { Fault } from './faults.js';
import { withPipeline } from './pipeline/configuration.js';
import type { Plants } from './plants.js';
import { type RunOptions, type RunResult, runSeed } from './scenario.js';

/** What the network does to single messages, by the words that switch it off. */
export const NETWORK_FAULTS = ['loss', 'delay', 'duplicates', 'reorder'] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];

/** What a run has less of than its seed decided. */
export interface Cut {
  without?: NetworkFault[];
  sdkClients?: number;
  plainClients?: number;
  readers?: number;
  registerOwners?: number;
  keys?: number;
  safetyMs?: number;
  /** Set in place of those of the cluster. */
  limits?: Partial<Limits>;
}

/** A run that can be written down, and run again exactly. */
export interface Case {
  seed: number;
  scale?: number;
  /** The counting pipeline in place of the usual clients. */
  pipeline?: boolean;
  /** In place of the faults that the seed draws. */
  schedule?: readonly Fault[];
  cut?: Cut;
}

export function applyCut(config: SimConfiguration, { without = [], limits = {}, ...fewer }: Cut): void {
  Object.assign(config, fewer);
  Object.assign(config.cluster.limits, limits);
  const { network } = config;
  for (const what of without) {
    if (what === 'loss') network.lossRate = 0;
    if (what === 'delay') network.slowRate = 0;
    if (what === 'duplicates') network.duplicateRate = 0;
    if (what === 'reorder') network.reorder = false;
  }
}

export interface CaseOptions {
  story?: boolean;
  plants?: Plants;
  adjust?: RunOptions['adjust'];
}

export function runCase(
  { seed, scale, pipeline, schedule, cut }: Case,
  options: CaseOptions = {},
): Promise<RunResult> {
  const run: RunOptions = {
    story: options.story ?? false,
    adjust: (config) => {
      if (pipeline) withPipeline(config);
      options.adjust?.(config);
      if (cut) applyCut(config, cut);
    },
  };
  if (scale !== undefined) run.scale = scale;
  if (schedule !== undefined) run.schedule = schedule;
  if (options.plants) run.plants = options.plants;
  return runSeed(seed, run);
}

export function commandOf(one: Case): string {
  return `npm run test:sim -- --case '${JSON.stringify(one)}'`;
}
