import { backoffMs } from '../../../client/backoff.js';
import { checkLog, decodeCheckpoint } from '../../../client/log-driven/checkpoint.js';
import { cutCorrections } from '../../../client/log-driven/correction.js';
import type { OwnerContext } from '../../../client/log-driven/owner-context.js';
import { PartitionOwner, type PartitionOwnerParts } from '../../../client/log-driven/partition-owner.js';
import { isPassing, persist } from '../../../client/log-driven/record-reader.js';
import { writeCorrections } from '../../../client/log-driven/recovery.js';
import type { CountingRule } from '../../../client/log-driven/source.js';
import { sleep } from '../../../ports/clock.js';
import { tokenOf } from '../../../proto/entry.js';
import { asTallyringError, errorToData } from '../../../proto/errors.js';
import type { LogRecord } from '../../log/log.js';
import type { ClusterSight } from './cluster-sight.js';
import { type Compared, comparePlans } from './compare.js';
import { emptyReport, type Finding, type PartitionReport } from './findings.js';
import type { Horizon } from './horizon.js';
import { finestFirst, planSeries, type SeriesPlan } from './plan.js';
import { readTruth } from './read-truth.js';
import { END_OF_TOKENS, type TrueSeries, Truth } from './truth.js';

export interface RecountPartitionParts {
  partition: number;
  owner: PartitionOwnerParts<LogRecord>;
  /** As the owner's, but it keeps nothing. */
  reading: CountingRule<LogRecord>;
  sight: ClusterSight;
  /** This key alone. */
  key: string | undefined;
  repair: boolean;
  /** Most cells in memory in one pass over the log. */
  maxCells: number;
  signal: AbortSignal;
  onProgress(report: Readonly<PartitionReport>): void;
  onFinding(finding: Finding): void;
}

/** Cells of one comparison, about: a series stays whole. */
const COMPARE_CELLS = 1_000;

/** How long one that is told to end takes to give the partition back. */
const GRACE_MS = 5_000;
const MAX_ATTEMPTS = 4;
const LOOK_MS = 1_000;

/** Recounts one partition as its owner. Never rejects: what keeps it from its end is in the report. */
export async function recountPartition(parts: RecountPartitionParts): Promise<PartitionReport> {
  const report = emptyReport(parts.partition);
  try {
    if (await attempted(parts, report, () => isCounted(parts))) {
      const run = new Recount(parts, report);
      await attempted(parts, report, () => owned(parts, report, (context) => run.goOn(context)));
    }
  } catch (error) {
    report.refusal = errorToData(asTallyringError(error));
  }
  report.waitsFor = undefined;
  return report;
}

async function owned(
  parts: RecountPartitionParts,
  report: PartitionReport,
  act: (context: OwnerContext<LogRecord>) => Promise<void>,
): Promise<void> {
  const { owner: ownerParts, signal } = parts;
  const { limits, ports } = ownerParts;
  const owner = await PartitionOwner.acquire(ownerParts, { timeoutMs: 2 * limits.attemptTimeoutMs, signal });
  // A store that does not take a correction must not hold whoever wants to end: a successor completes it.
  const onAbort = () => ports.timers.after(GRACE_MS, () => owner.abort());
  signal.addEventListener('abort', onAbort, { once: true });
  const forget = tellTrouble(owner, parts, report);
  try {
    await owner.hold(act);
  } finally {
    forget();
    signal.removeEventListener('abort', onAbort);
  }
}

/** Whoever watches is told why nothing goes on: what fails for the moment is tried again without end. */
function tellTrouble(
  owner: PartitionOwner<LogRecord>,
  { owner: { ports }, onProgress }: RecountPartitionParts,
  report: PartitionReport,
): () => void {
  let isOver = false;
  const look = () => {
    if (isOver) return;
    report.waitsFor = owner.lastError?.message;
    onProgress(report);
    ports.timers.after(LOOK_MS, look);
  };
  ports.timers.after(LOOK_MS, look);
  return () => {
    isOver = true;
  };
}

/**
 * A node that just died, or a busy one, is no reason to refuse a partition; nor is a candidate that saw it free just
 * before this one took it, and fenced it for that.
 */
async function attempted<T>(
  { owner, signal, onProgress }: RecountPartitionParts,
  report: PartitionReport,
  call: () => Promise<T>,
): Promise<T> {
  const { timers, random } = owner.ports;
  for (let failures = 1; ; failures++) {
    try {
      return await call();
    } catch (thrown) {
      const error = asTallyringError(thrown);
      const mayGoWell = isPassing(error) || error.code === 'FENCED';
      if (failures >= MAX_ATTEMPTS || signal.aborted || !mayGoWell) throw error;
      report.waitsFor = error.message;
      onProgress(report);
    }
    await sleep(timers, backoffMs(failures, random));
  }
}

/** Whether there is anything to recount. Throws what is wrong with the log, before anybody is fenced for it. */
async function isCounted({ owner, signal }: RecountPartitionParts): Promise<boolean> {
  const { register, source, rule, limits } = owner;
  const options = { timeoutMs: 2 * limits.attemptTimeoutMs, signal };
  const held = await register.read(options);
  if (held?.value == null) return false;
  const wanted = { logId: source.logId, version: rule.version, lookBack: rule.lookBack };
  checkLog(decodeCheckpoint(held.value), wanted, await source.bounds(options));
  return true;
}

/** Of all tokens: keys lie evenly among them. */
function shareOf(to: bigint): number {
  return Number(to) / Number(END_OF_TOKENS);
}

/** One partition's recount, which may change hands in between: it goes on behind the keys that it has done. */
class Recount {
  readonly #parts: RecountPartitionParts;
  readonly #report: PartitionReport;
  /** The token of the first key that is not done. */
  #from: bigint;
  /** Every token that is to be done is below it. */
  readonly #to: bigint;
  /** Of all corrections of one ownership: no cell is corrected twice under it. */
  #producerId: Buffer | undefined;

  constructor(parts: RecountPartitionParts, report: PartitionReport) {
    this.#parts = parts;
    this.#report = report;
    this.#from = parts.key === undefined ? 0n : tokenOf(parts.key);
    this.#to = parts.key === undefined ? END_OF_TOKENS : this.#from + 1n;
  }

  async goOn(context: OwnerContext<LogRecord>): Promise<void> {
    const { source, limits, waiting, ports, writer } = context;
    this.#producerId = undefined;
    const ask = () => source.bounds({ timeoutMs: limits.attemptTimeoutMs, signal: waiting.signal });
    const bounds = await persist({ ...ports, waiting }, ask);
    Object.assign(this.#report, { start: bounds.start, committed: writer.next.committed });
    while (this.#from < this.#to) await this.#pass(context, bounds);
  }

  /** One pass over the log, for as many keys as fit. */
  async #pass(context: OwnerContext<LogRecord>, bounds: { start: number; end: number }): Promise<void> {
    const { reading: rule, signal, key, maxCells, sight, onProgress } = this.#parts;
    const report = this.#report;
    const finest = finestFirst(sight.rollups)[0]!;
    const truth = new Truth({ finest, maxCells, from: this.#from, key });
    const before = report.records;
    const onRecords = (records: number) => {
      report.records += records;
      onProgress(report);
    };
    try {
      const read = await readTruth(truth, { context, rule, bounds, signal, onRecords });
      report.undecided = read.undecided;
      report.wholeAfterMs = Number.isFinite(read.horizon.endMs) ? read.horizon.endMs : undefined;
      for (const { series, to } of inGroups(truth.inOrder())) {
        await this.#compare(context, series, read.horizon);
        this.#from = to;
        report.share = shareOf(to);
      }
    } catch (error) {
      report.records = before; // it is read again
      throw error;
    }
    this.#from = truth.to;
    report.share = shareOf(truth.to);
    report.passes++;
  }

  async #compare(
    context: OwnerContext<LogRecord>,
    series: readonly TrueSeries[],
    horizon: Horizon,
  ): Promise<void> {
    const { partition, sight, repair, signal, onProgress, onFinding } = this.#parts;
    const report = this.#report;
    signal.throwIfAborted();
    const granularities = finestFirst(sight.rollups);
    const plans: SeriesPlan[] = series.map((each) => planSeries(each, granularities, horizon));
    const { waiting } = context;
    const compared = await comparePlans(plans, { partition, sight, repair, waiting });
    if (repair) await this.#correct(context, compared);
    for (const { whole, notWhole } of plans) {
      report.cells += whole.length;
      report.notWhole += notWhole.length;
    }
    report.atQuorum += compared.atQuorum;
    report.mixed += compared.mixed;
    for (const finding of compared.findings) {
      report.found[finding.outcome]++;
      onFinding(finding);
    }
    onProgress(report);
  }

  async #correct(context: OwnerContext<LogRecord>, { corrections }: Compared): Promise<void> {
    if (corrections.length === 0) return;
    const { store, waiting, writer } = context;
    this.#producerId ??= await store.mint(writer.next.producerId ?? undefined, waiting);
    const producerId = this.#producerId;
    await writeCorrections(
      context,
      cutCorrections(corrections).map((cells) => ({ producerId, cells })),
    );
  }
}

/** Runs of series in the order of their tokens, and the token that each run ends before: a key stays whole. */
function* inGroups(all: readonly TrueSeries[]): Generator<{ series: TrueSeries[]; to: bigint }> {
  let series: TrueSeries[] = [];
  let cells = 0;
  for (const [i, each] of all.entries()) {
    series.push(each);
    cells += each.windows.size;
    const next = all[i + 1]?.token;
    if (next !== undefined && (next === each.token || cells < COMPARE_CELLS)) continue;
    yield { series, to: each.token + 1n };
    series = [];
    cells = 0;
  }
}
