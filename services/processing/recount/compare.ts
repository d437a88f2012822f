import type { CorrectionCell } from '../../../client/log-driven/correction.js';
import type { Waiting } from '../../../client/log-driven/shard-store.js';
import { type CellValue, foldValues } from '../../../counter/shard.js';
import { GRANULARITY_CODE } from '../../../counter/window.js';
import type { CellAddress } from '../../../proto/entry.js';
import type { CellSight, ClusterSight } from './cluster-sight.js';
import type { Finding, FindingOutcome } from './findings.js';
import { type Amount, judge } from './judge.js';
import { LongerWindows } from './longer.js';
import { finestFirst, type SeriesPlan, type TrueCell } from './plan.js';

export interface CompareParts {
  partition: number;
  sight: ClusterSight;
  repair: boolean;
  waiting: Waiting;
}

export interface Compared {
  findings: Finding[];
  /** To be written, when it is to be repaired. */
  corrections: CorrectionCell[];
  atQuorum: number;
  /** Cells that other producers counted too. */
  mixed: number;
}

/** A correction of what comes back later would count it twice. */
export const ONE_IS_AWAY =
  'not every replica answered, and one that is away may hold what is missing: repair it when all are up';

/** Compares whole series with the cluster. Writes nothing; but reading makes replicas equal that were not. */
export async function comparePlans(plans: readonly SeriesPlan[], parts: CompareParts): Promise<Compared> {
  const { sight, waiting } = parts;
  const compared: Compared = { findings: [], corrections: [], atQuorum: 0, mixed: 0 };
  const sights = await sight.look(
    plans.flatMap(({ whole }) => whole.map(({ cell }) => cell)),
    waiting,
  );
  let at = 0;
  for (const plan of plans) {
    const longer = new LongerWindows(plan, finestFirst(sight.rollups));
    for (const each of plan.whole) {
      const seen = sights[at++]!;
      if (!seen.isAtAll) compared.atQuorum++;
      const { finding, amount, isMixed } = checkCell(each, seen, parts);
      if (isMixed) compared.mixed++;
      if (finding === undefined) continue;
      compared.findings.push(finding);
      if (finding.outcome === 'equalized') continue;
      longer.add(each.cell, amount);
      if (amount !== undefined) compared.corrections.push({ ...each.cell, ...amount });
    }
    for (const { finding, amount } of await longer.check(parts)) {
      compared.findings.push(finding);
      if (amount !== undefined) compared.corrections.push({ ...cellOf(finding), ...amount });
    }
  }
  compared.corrections.sort(coarsestFirst);
  return compared;
}

/**
 * A window that is not whole is judged by the finer ones inside it, so those stay as they are until it is corrected:
 * a repair that is cut off between the two is taken up where it was.
 */
function coarsestFirst(a: CellAddress, b: CellAddress): number {
  return GRANULARITY_CODE[a.granularity] - GRANULARITY_CODE[b.granularity];
}

function cellOf({ key, eventType, granularity, window }: CellAddress): CellAddress {
  return { key, eventType, granularity, window };
}

function checkCell(
  { cell, truth }: TrueCell,
  { shards, replicas, isAtAll }: CellSight,
  { partition, repair }: CompareParts,
): { finding?: Finding; amount?: Amount | undefined; isMixed: boolean } {
  const { is, others, isRight, amount, stays } = judge(truth, shards);
  const isMixed = others.length > 0;
  const differing = differed(replicas, foldValues(shards)) ? replicas : [];
  if (isRight && differing.length === 0) return { isMixed };
  const about = { ...cell, partition, is, shouldBe: truth, replicas: differing };
  const found = (outcome: FindingOutcome, reasons: string[]) => ({
    finding: { ...about, outcome, reasons },
    isMixed,
  });
  if (isRight) {
    return isAtAll
      ? found('equalized', [])
      : found('wrong', ['not every replica answered, so they are not equal yet']);
  }
  if (amount === undefined) return found('left', stays);
  if (repair && !isAtAll) return found('left', [ONE_IS_AWAY]);
  if (!repair) return { ...found('wrong', stays), amount };
  return { ...found(stays.length === 0 ? 'repaired' : 'left', stays), amount };
}

/** Whether a replica that answered held something else than all of them together. */
function differed(replicas: CellSight['replicas'], together: CellValue | undefined): boolean {
  if (together === undefined) return false;
  return replicas.some(
    ({ value }) =>
      value !== undefined &&
      (value.count !== together.count ||
        value.sum !== together.sum ||
        value.min !== together.min ||
        value.max !== together.max),
  );
}
