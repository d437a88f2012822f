import { type CellValue, foldValues } from '../../../counter/shard.js';
import type { Granularity } from '../../../counter/window.js';
import type { CellAddress } from '../../../proto/entry.js';
import { asTallyringError } from '../../../proto/errors.js';
import { kindOfProducer } from '../../../proto/producer-kind.js';
import { type CompareParts, ONE_IS_AWAY } from './compare.js';
import type { Finding } from './findings.js';
import { type Amount, judgeLonger, sumOfAmounts } from './judge.js';
import { type SeriesPlan, windowOver } from './plan.js';

interface WrongCell {
  cell: CellAddress;
  /** Undefined when it cannot be put right. */
  amount: Amount | undefined;
}

export interface LongerFinding {
  finding: Finding;
  amount: Amount | undefined;
}

/** The windows of a series that are too long to be whole: judged by the wrong ones inside them. */
export class LongerWindows {
  readonly #notWhole: readonly CellAddress[];
  readonly #granularities: readonly Granularity[];
  readonly #wrong: WrongCell[] = [];

  /** @param granularities the finest first. */
  constructor({ notWhole }: SeriesPlan, granularities: readonly Granularity[]) {
    this.#notWhole = notWhole;
    this.#granularities = granularities;
  }

  /** A cell of the series that was compared and is wrong. */
  add(cell: CellAddress, amount: Amount | undefined): void {
    this.#wrong.push({ cell, amount });
  }

  async check(parts: CompareParts): Promise<LongerFinding[]> {
    const found: LongerFinding[] = [];
    for (const [i, granularity] of this.#granularities.entries()) {
      const finer = this.#granularities[i - 1];
      if (finer === undefined) continue;
      for (const cell of this.#notWhole.filter((each) => each.granularity === granularity)) {
        const inside = this.#wrong.filter(
          (each) =>
            each.cell.granularity === finer &&
            windowOver(granularity, finer, each.cell.window) === cell.window,
        );
        if (inside.length === 0) continue;
        const one = await checkOne(cell, { finer, inside }, parts);
        if (one === undefined) continue;
        this.add(cell, one.amount);
        found.push(one);
      }
    }
    return found;
  }
}

/** Undefined when the cell is right. */
async function checkOne(
  cell: CellAddress,
  { finer, inside }: { finer: Granularity; inside: readonly WrongCell[] },
  { partition, sight, repair, waiting }: CompareParts,
): Promise<LongerFinding | undefined> {
  const [seen] = await sight.look([cell], waiting);
  const own = seen!.shards.filter(({ producerId }) => kindOfProducer(producerId) === 'log');
  const is = foldValues(own);
  const about = { ...cell, partition, is, replicas: [] };
  const left = (reason: string): LongerFinding => ({
    finding: { ...about, shouldBe: undefined, outcome: 'left', reasons: [reason] },
    amount: undefined,
  });
  const amounts = inside.flatMap(({ amount }) => amount ?? []);
  const amount = amounts.length === inside.length ? sumOfAmounts(amounts) : undefined;
  if (amount === undefined) return left(`not whole, and not all of its ${finer}s can be put right`);
  let sum: CellValue;
  try {
    sum = await sight.finerSum(cell, finer);
  } catch (error) {
    return left(`not whole, and its ${finer}s cannot be added up: ${asTallyringError(error).message}`);
  }
  const all = foldValues(seen!.shards);
  const verdict = all === undefined ? 'unclear' : judgeLonger(all, sum, amount);
  if (verdict === 'right') return undefined;
  if (verdict === 'unclear' || is === undefined) {
    return left(`not whole, and neither what its ${finer}s are together nor what they should be`);
  }
  if (own.length < seen!.shards.length) return left('other producers counted it too');
  if (repair && !seen!.isAtAll) return left(ONE_IS_AWAY);
  const shouldBe = foldValues([is, { ...amount, min: null, max: null }]);
  if (shouldBe === undefined) return left('it is outside int64');
  return {
    finding: { ...about, shouldBe, outcome: repair ? 'repaired' : 'wrong', reasons: [`as its ${finer}s`] },
    amount,
  };
}
