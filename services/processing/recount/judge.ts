import { type Int64, toInt64 } from '../../../counter/int64.js';
import type { CellValue } from '../../../counter/shard.js';
import { foldValues } from '../../../counter/shard.js';
import type { ProducerShard } from '../../../proto/calls.js';
import { kindOfProducer, type ProducerKind } from '../../../proto/producer-kind.js';
import type { CellSum } from './cell-sum.js';

/** Count, sum, min and max that a correction adds. */
export interface Amount {
  count: Int64;
  sum: Int64;
  min: Int64 | null;
  max: Int64 | null;
}

export interface Verdict {
  /** What producers of kind log contributed; undefined when it leaves int64. */
  is: CellValue | undefined;
  /** Kinds of other producers that have a part in the cell, which the log knows nothing of. */
  others: ProducerKind[];
  isRight: boolean;
  /** What puts it right, as far as anything can; undefined when nothing can be added. */
  amount: Amount | undefined;
  /** Why it does not become right by that; empty when it does. */
  stays: string[];
}

/** Compares what the log says of a cell with its shards. */
export function judge(truth: CellSum, shards: readonly ProducerShard[]): Verdict {
  const kinds = shards.map(({ producerId }) => kindOfProducer(producerId));
  const own = shards.filter((_, i) => kinds[i] === 'log');
  const others = [...new Set(kinds.filter((kind) => kind !== 'log'))];
  const is = foldValues(own);
  if (is !== undefined && isEqual(is, truth)) {
    return { is, others, isRight: true, amount: undefined, stays: [] };
  }
  if (others.length > 0) {
    return {
      is,
      others,
      isRight: false,
      amount: undefined,
      stays: [`${others.join(' and ')} counted it too`],
    };
  }
  const amount = amountFor(truth, own);
  const after = amount && foldValues([...own, amount]);
  if (after === undefined) {
    return { is, others, isRight: false, amount: undefined, stays: ['it is outside int64'] };
  }
  const stays = staysWrong(truth, after);
  // One that changes nothing would be one more shard with every recount.
  const helps = is === undefined || !isSame(is, after);
  return { is, others, isRight: false, amount: helps ? amount : undefined, stays };
}

function isSame(a: CellValue, b: CellValue): boolean {
  return a.count === b.count && a.sum === b.sum && a.min === b.min && a.max === b.max;
}

function isEqual(is: CellValue, { count, sum, min, max }: CellSum): boolean {
  return is.count === count && is.sum === normal(sum) && is.min === min && is.max === max;
}

function normal(sum: number | bigint): number | bigint | undefined {
  return typeof sum === 'number' ? sum : toInt64(sum);
}

function amountFor(truth: CellSum, own: readonly CellValue[]): Amount | undefined {
  const total = (pick: (value: CellValue) => Int64) =>
    own.reduce((all, value) => all + BigInt(pick(value)), 0n);
  const count = toInt64(BigInt(truth.count) - total((value) => value.count));
  const sum = toInt64(BigInt(truth.sum) - total((value) => value.sum));
  if (count === undefined || sum === undefined || normal(truth.sum) === undefined) return undefined;
  // Both are of events that are there: so they are never wrong, and needed where an entry is lost.
  return { count, sum, min: truth.min, max: truth.max };
}

/** A correction lowers min and raises max, never the other way round. */
function staysWrong(truth: CellSum, after: CellValue): string[] {
  const stays: string[] = [];
  if (after.min !== truth.min) stays.push(`min stays ${after.min}, it should be ${truth.min}`);
  if (after.max !== truth.max) stays.push(`max stays ${after.max}, it should be ${truth.max}`);
  return stays;
}

/** What a window that is not whole is to be corrected by: the sum of what its finer windows are. */
export function sumOfAmounts(amounts: readonly Amount[]): Amount | undefined {
  let [count, sum] = [0n, 0n];
  let [min, max]: [Int64 | null, Int64 | null] = [null, null];
  for (const amount of amounts) {
    count += BigInt(amount.count);
    sum += BigInt(amount.sum);
    if (amount.min !== null && (min === null || amount.min < min)) min = amount.min;
    if (amount.max !== null && (max === null || amount.max > max)) max = amount.max;
  }
  const [c, s] = [toInt64(count), toInt64(sum)];
  return c === undefined || s === undefined ? undefined : { count: c, sum: s, min, max };
}

/**
 * A window that is not whole cannot be compared with the log. Before its finer windows are corrected it equals their
 * sum when it was hurt as they were, and is corrected as they are; when it equals what they become, it was right all
 * along. Anything else nobody can tell.
 */
export function judgeLonger(
  longer: CellValue,
  finer: CellValue,
  amount: Amount,
): 'as the finer' | 'right' | 'unclear' {
  const equals = (count: bigint, sum: bigint) => BigInt(longer.count) === count && BigInt(longer.sum) === sum;
  const [count, sum] = [BigInt(finer.count), BigInt(finer.sum)];
  if (equals(count + BigInt(amount.count), sum + BigInt(amount.sum))) return 'right';
  return equals(count, sum) ? 'as the finer' : 'unclear';
}
