import { checkKey } from '../counter/validate.js';
import { TallyringError } from '../proto/errors.js';
import type { Finding, PartitionReport } from '../services/processing/recount/findings.js';
import { addressesOf, type CommonOptions, parseAddress, timeoutOf, withContact } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatCount, parsePositive, plural } from './format.js';
import { createProgress } from './progress.js';
import { foundIn, isClean, reportJson, reportText } from './recount-report.js';

/** `tallyring recount`: the counters against the event log. */

export interface RecountVerbOptions extends CommonOptions {
  key?: string;
  repair?: boolean;
  log?: string;
  limit?: string;
  maxCells?: string;
}

const DEFAULT_LIMIT = 100;
const HOLD_MS = 60_000;

export async function recountVerb(environment: Environment, options: RecountVerbOptions): Promise<ExitCode> {
  const limit = countOf('--limit', options.limit) ?? DEFAULT_LIMIT;
  const maxCells = countOf('--max-cells', options.maxCells);
  if (options.key !== undefined) checkKey(options.key, '--key');
  const [{ configsOf, logPlaceOf }, { recount }] = await Promise.all([
    import('./service-verbs.js'),
    import('../services/processing/recount/recount.js'),
  ]);
  const { services } = await configsOf(environment, options);
  const place = options.log === undefined ? logPlaceOf(services) : { address: parseAddress(options.log) };
  const shown: Finding[] = [];
  const over = new AbortController();
  const forget = environment.onInterrupt(() =>
    over.abort(new TallyringError('CLOSED', 'the recount was interrupted')),
  );
  const progress = recountProgress(environment);
  // The SDK's timers and idle connections let a process end.
  const hold = setInterval(() => {}, HOLD_MS);
  try {
    return await withContact(environment, options, async (contact) => {
      const { log, deadLetters } = await environment.openLog(place, timeoutOf(options));
      try {
        if (options.key === undefined) progress.ofAll(log.description.partitions);
        await using client = await environment.openClient(await addressesOf(environment, options));
        const reports = await recount({
          ...{ client, log, deadLetters, config: services.processing, key: options.key, maxCells },
          connect: (address) => contact.connect(address),
          repair: options.repair === true,
          signal: over.signal,
          onProgress: progress.update,
          onFinding: (finding) => {
            if (shown.length < limit) shown.push(finding);
          },
        });
        progress.end();
        const end = { reports, shown, interrupted: over.signal.aborted, repair: options.repair === true };
        await environment.stdout.write(
          options.json ? `${JSON.stringify(reportJson(end))}\n` : reportText(end),
        );
        return isClean(end) ? EXIT.done : EXIT.partly;
      } finally {
        await log.close();
      }
    });
  } finally {
    clearInterval(hold);
    progress.end();
    forget();
  }
}

function countOf(what: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : Math.ceil(parsePositive(what, text));
}

function recountProgress(environment: Environment) {
  const bar = createProgress(environment, { noun: 'cells', label: 'recount' });
  let partitions: number | undefined;
  const startedMs = performance.now();
  const latest = new Map<number, Readonly<PartitionReport>>();
  const total = (pick: (report: Readonly<PartitionReport>) => number) =>
    [...latest.values()].reduce((sum, report) => sum + pick(report), 0);
  return {
    update(report: Readonly<PartitionReport>) {
      latest.set(report.partition, report);
      bar.update({
        events: total(({ cells }) => cells),
        more: [
          `${plural(
            total(({ records }) => records),
            'record',
          )} read`,
          foundText(total),
          ...(report.waitsFor === undefined ? [] : [`waits: ${report.waitsFor}`]),
        ],
        rejected: 0,
        elapsedMs: performance.now() - startedMs,
        ...(partitions !== undefined && { done: { part: total(({ share }) => share), of: partitions } }),
      });
    },
    /** All keys of so many partitions are recounted: then it can tell how much is done. */
    ofAll(count: number) {
      partitions = count;
    },
    end: () => bar.end(),
  };
}

function foundText(total: (pick: (report: Readonly<PartitionReport>) => number) => number): string {
  return `${formatCount(total(({ found }) => foundIn(found)))} not right`;
}
