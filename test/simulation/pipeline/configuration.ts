import type { SimConfiguration } from '../configuration.js';
import { SeededRandom } from '../seeded-random.js';
import { STEPS, type StepName } from './steps.js';
import type { StepRates, StrikeRates } from './strikes.js';

/** What a seed decides about the counting pipeline. */
export interface PipelineConfiguration {
  /** Processing instances, and machines that append events. */
  instances: number;
  sources: number;
  partitions: number;
  /** Each process takes one of them. */
  dedupWindows: number[];
  flushIntervalMs: number;
  maxBatchRecords: number;
  maxCells: number;
  /** Events per source and second. */
  rate: number;
  retentionMs: number;
  /** Share of appends that are sent again although they were answered, from whichever machine. */
  repeatRate: number;
  /** Share of events without an id: after a lost answer they are in doubt. */
  withoutId: number;
  /** Share of records that are no events. */
  malformed: number;
  /** Share of events whose value is as great as may be, either way where values may be negative. */
  hugeValues: number;
  /** Mean time between two of each: kills of processing instances, stalls of them, kills and stalls of the log. */
  killEveryMs: number;
  stallEveryMs: number;
  logKillEveryMs: number;
  logStallEveryMs: number;
  /** Mean time between two instances that are told to stop. */
  stopEveryMs: number;
  /** Further kills and stalls of instances, and cuts between nodes, strike between two steps. */
  strikes: StrikeRates;
  /** After what silence a partition is taken over; the other times of an instance go by it. */
  takeOverAfterMs: number;
}

/**
 * Turns a seed's run into one of the pipeline: its clients are the pipeline's, the cluster and its faults stay as
 * they were drawn.
 */
export function withPipeline(config: SimConfiguration): void {
  const random = new SeededRandom(config.seed).fork('pipeline');
  const never = Number.POSITIVE_INFINITY;
  const sometimes = (from: number, to: number) => (random.chance(0.6) ? random.between(from, to) : never);
  Object.assign(config, { sdkClients: 0, plainClients: 0, registerOwners: 0 });
  // Readers are judged by what never goes backwards.
  config.readers = config.negativeValues ? 0 : 1;
  delete config.faultEveryMs.overload;
  delete config.faultEveryMs['client crash'];
  delete config.faultEveryMs['client clock jump'];
  config.safetyMs += 6_000;
  config.pipeline = {
    instances: 1 + random.below(3),
    sources: 1 + random.below(2),
    partitions: 1 + random.below(3),
    dedupWindows: random.pick([[4], [40], [400], [4, 40], [10, 400]]),
    flushIntervalMs: random.pick([50, 200, 1_000]),
    maxBatchRecords: random.pick([3, 20, 1_000]),
    maxCells: random.pick([40, 1_000]),
    rate: random.pick([5, 15]),
    retentionMs: random.chance(0.3) ? 500 : 86_400_000,
    repeatRate: random.pick([0, 0.1, 0.4]),
    withoutId: random.pick([0, 0.2]),
    malformed: random.pick([0.02, 0.1]),
    hugeValues: random.pick([0, 0, 0.2]),
    killEveryMs: sometimes(1_500, 8_000),
    stallEveryMs: sometimes(1_500, 8_000),
    logKillEveryMs: sometimes(1_500, 8_000),
    logStallEveryMs: sometimes(1_500, 8_000),
    stopEveryMs: sometimes(1_500, 8_000),
    strikes: drawStrikes(random),
    takeOverAfterMs: random.pick([400, 1_200]),
  };
}

/** Steps that are seldom are struck more often: all of them should be hit about as much. */
const WEIGHTS: Partial<Record<StepName, number>> = {
  acquired: 1.5,
  'read the batch again': 2,
  'read its shards': 4,
  'completed a batch in part': 4,
  'completed a batch': 3,
  'kept dead letters': 3,
  'gave back': 3,
};

function drawStrikes(random: SeededRandom): StrikeRates {
  const kill = random.pick([0, 0.03, 0.08]);
  const stall = random.pick([0, 0.02, 0.05]);
  const cut = random.pick([0, 0, 0.04]);
  return strikesOf({ kill, stall, cut });
}

/** At every step, more at those that are seldom. */
export function strikesOf({ kill = 0, stall = 0, cut = 0 }: StepRates): StrikeRates {
  const at = (step: StepName, rate: number) => Math.min(0.4, rate * (WEIGHTS[step] ?? 1));
  return Object.fromEntries(
    STEPS.map((step) => [step, { kill: at(step, kill), stall: at(step, stall), cut: at(step, cut) }]),
  );
}
