import type { Granularity } from '../../../counter/window.js';
import type { Entry } from '../../../proto/entry.js';
import { checkCheckpoints } from '../checkers/checkpoints.js';
import { checkPipeline } from '../checkers/pipeline.js';
import type { Violation } from '../checkers/violation.js';
import type { VirtualTime } from '../virtual-time.js';
import type { Pipeline } from './pipeline.js';

const POLL_MS = 500;

/** All that was sent is in the log, and all that is in the log is counted, within the bound. */
export async function catchUp(pipeline: Pipeline, time: VirtualTime, boundMs: number): Promise<Violation[]> {
  const untilMs = time.nowMs + boundMs;
  let unfinished = pipeline.unfinished();
  while (unfinished.length > 0 && time.nowMs < untilMs) {
    await time.run(time.nowMs + POLL_MS);
    unfinished = pipeline.unfinished();
  }
  return unfinished.map((detail) => ({ check: 'the pipeline catches up', detail }));
}

/** The instances end in good order. An owner writes its checkpoint all the time: only then replicas can be equal. */
export async function endAll(
  { processors }: Pipeline,
  time: VirtualTime,
  boundMs: number,
): Promise<Violation[]> {
  processors.finish();
  await time.runUntil(() => processors.alive.length === 0, time.nowMs + boundMs);
  return processors.alive.map((detail) => ({ check: 'instances give back and end', detail }));
}

export function checkAll(
  { log, sources, watch, processors }: Pipeline,
  stores: ReadonlyMap<string, readonly Entry[]>,
  rollups: readonly Granularity[],
): Violation[] {
  const partitions = log.contents().map((records, partition) => ({ records, rules: watch.rules(partition) }));
  const deadLetters = log.deadLetters();
  const { dedupWindow } = processors;
  const facts = { partitions, dedupWindow, sent: sources.sent, deadLetters, stores, rollups };
  return [...checkPipeline(facts), ...checkCheckpoints(watch.held, watch.releases)];
}
