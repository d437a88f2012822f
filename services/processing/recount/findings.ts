import type { CellValue } from '../../../counter/shard.js';
import type { CellAddress } from '../../../proto/entry.js';
import type { ErrorData } from '../../../proto/errors.js';

/** What one replica alone held of a cell. */
export interface ReplicaSight {
  nodeId: string;
  /** Undefined when it did not say. */
  value: CellValue | undefined;
}

/**
 * `wrong`: it was only looked at; `repaired`; `equalized`: the replicas differed, what they are together is right, and
 * reading made them equal; `left`: wrong still, or in part.
 */
export type FindingOutcome = 'wrong' | 'repaired' | 'equalized' | 'left';

/** A cell that is not as the log says, or was not on every replica. */
export interface Finding extends CellAddress {
  partition: number;
  /** What producers of kind log contributed; undefined outside int64. */
  is: CellValue | undefined;
  /** Undefined where the log does not tell. */
  shouldBe: Pick<CellValue, 'count' | 'sum'> | undefined;
  /** Of every replica, when they differed. */
  replicas: ReplicaSight[];
  outcome: FindingOutcome;
  reasons: string[];
}

/** What became of one partition. */
export interface PartitionReport {
  partition: number;
  /** What was recounted: [start, committed). */
  start: number;
  committed: number;
  passes: number;
  /** Of its keys, those that are done: 0 to 1. */
  share: number;
  records: number;
  /** Records whose look-back is trimmed: nobody can tell any more whether they counted. */
  undecided: number;
  /** Cells compared, and those that may have events which are gone or undecided. */
  cells: number;
  notWhole: number;
  /** Windows that begin later are whole; undefined when all are. */
  wholeAfterMs: number | undefined;
  /** Cells that producers of other kinds counted too, of which the log knows nothing: their part is left out. */
  mixed: number;
  /** Cells that were read at QUORUM since not all replicas answered. */
  atQuorum: number;
  found: Record<FindingOutcome, number>;
  /** What it just now meets again and again, and does not go on for; undefined while it goes on. */
  waitsFor: string | undefined;
  /** Why it was not recounted, or not to its end. */
  refusal: ErrorData | undefined;
}

export function emptyReport(partition: number): PartitionReport {
  return {
    ...{ partition, start: 0, committed: 0, passes: 0, share: 0, records: 0 },
    ...{ undecided: 0, cells: 0, notWhole: 0 },
    ...{ wholeAfterMs: undefined, mixed: 0, atQuorum: 0, waitsFor: undefined, refusal: undefined },
    found: { wrong: 0, repaired: 0, equalized: 0, left: 0 },
  };
}
