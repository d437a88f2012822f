import type { Finding, PartitionReport } from '../../../../../services/processing/recount/findings.js';
import { recountPartition } from '../../../../../services/processing/recount/partition.js';
import { Process, type World } from './world.js';

/** A recount in such a world. */

interface RecountIn {
  repair?: boolean;
  process?: Process;
  maxCells?: number;
  key?: string;
}

export function startRecount(
  world: World,
  { repair = true, process = new Process(), maxCells = 1_000, key }: RecountIn = {},
) {
  const findings: Finding[] = [];
  const waits = new Set<string>();
  const report: Promise<PartitionReport> = recountPartition({
    ...{ partition: 0, owner: world.ownerParts(process), reading: world.rule(), sight: world.sight(process) },
    ...{ key, repair, maxCells, signal: new AbortController().signal },
    onProgress: ({ waitsFor }) => {
      if (waitsFor !== undefined) waits.add(waitsFor);
    },
    onFinding: (finding) => void findings.push(finding),
  });
  return { report, findings, waits };
}

export async function recount(world: World, options: Parameters<typeof startRecount>[1] = {}) {
  const { process = new Process() } = options;
  const { report, ...told } = startRecount(world, { ...options, process });
  return { report: await world.until(report, process), ...told };
}
