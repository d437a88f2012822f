import { windowStartMs } from '../counter/window.js';
import { decodeEntryKey, tokenOfEntry } from '../proto/entry.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { type CommonOptions, type Contact, withContact } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatCount, formatDuration, isoTime, parsePositive } from './format.js';
import { createProgress } from './progress.js';
import { ringOf } from './ring-of.js';
import { createCursor, differenceOf, mergeScans } from './verify-merge.js';

/** `verify`: reads every replica directly and compares what they hold. */

const PAGE_ENTRIES = 5_000;
const DEFAULT_SHOWN = 20;

interface Difference {
  key: string;
  eventType: string;
  granularity: string;
  start: string | undefined;
  producerId: string;
  lacking: string[];
  differ: boolean;
}

interface Findings {
  entries: number;
  differences: number;
  cells: number;
  /** Entries that a node holds without being a replica. */
  elsewhere: number;
  shown: Difference[];
}

export async function verify(
  environment: Environment,
  options: CommonOptions & { keysLimit?: string },
): Promise<ExitCode> {
  const limit =
    options.keysLimit === undefined
      ? DEFAULT_SHOWN
      : Math.floor(parsePositive('--keys-limit', options.keysLimit));
  return withContact(environment, options, async (contact) => {
    const startedMs = performance.now();
    const { findings, nodeIds } = await compare(environment, contact, limit);
    const elapsedMs = performance.now() - startedMs;
    const clean = findings.differences === 0;
    const { shown, ...counts } = findings;
    const json = { clean, nodes: nodeIds, ...counts, elapsedMs: Math.round(elapsedMs), found: shown };
    const text = findingsText(findings, `${nodeIds.length} nodes, ${formatDuration(elapsedMs)}`);
    await environment.stdout.write(options.json ? `${JSON.stringify(json)}\n` : text);
    return clean ? EXIT.done : EXIT.partly;
  });
}

async function compare(
  environment: Environment,
  contact: Contact,
  limit: number,
): Promise<{ findings: Findings; nodeIds: string[] }> {
  const { timeoutMs } = contact;
  const cluster = await contact.call((node) => node.describe({ timeoutMs }));
  const ring = ringOf(cluster);
  const progress = createProgress(environment, 'entries');
  const startedMs = performance.now();
  const findings: Findings = { entries: 0, differences: 0, cells: 0, elsewhere: 0, shown: [] };
  let read = 0;
  const cursors = await Promise.all(
    cluster.nodes.map(async ({ nodeId, host, port }) => {
      const node = await contact.connect(`${host}:${port}`);
      return createCursor(nodeId, async (after) => {
        const page = await node.scanLocal(after, PAGE_ENTRIES, { timeoutMs }).catch((error: unknown) => {
          throw unreadable(nodeId, error);
        });
        read += page.keys.length;
        progress.update({
          events: read,
          rejected: 0,
          elapsedMs: performance.now() - startedMs,
          bytesRead: 0,
          totalBytes: undefined,
        });
        return page;
      });
    }),
  );
  let lastCell: Buffer | undefined;
  try {
    await mergeScans(cursors, ({ key, hashes }) => {
      findings.entries++;
      const replicas = ring.replicasOf(tokenOfEntry(key)).nodeIds;
      const difference = differenceOf(replicas, hashes);
      if (difference === undefined) {
        if (hashes.size > replicas.length) findings.elsewhere++;
        return;
      }
      // Entries only a former owner holds are no difference between replicas.
      if (difference.lacking.length === replicas.length) {
        findings.elsewhere++;
        return;
      }
      findings.differences++;
      // A cell's entries stand together; the producerId at the end is what tells them apart.
      const cell = key.subarray(0, -16);
      if (lastCell?.equals(cell) !== true) {
        findings.cells++;
        lastCell = cell;
      }
      if (findings.shown.length < limit) findings.shown.push(describe(key, difference));
    });
  } finally {
    progress.end();
  }
  return { findings, nodeIds: cluster.nodes.map(({ nodeId }) => nodeId) };
}

function unreadable(nodeId: string, error: unknown): TallyringError {
  const known = asTallyringError(error);
  return new TallyringError(
    'UNAVAILABLE',
    `node ${nodeId} cannot be read, so nothing is verified: ${known.message}`,
    {
      cause: error,
      mayHaveApplied: false,
    },
  );
}

function describe(key: Buffer, { lacking, differ }: { lacking: string[]; differ: boolean }): Difference {
  const address = decodeEntryKey(key);
  const { granularity, window, eventType, producerId } = address;
  const start = granularity === 'total' ? undefined : isoTime(windowStartMs(granularity, window));
  return { key: address.key, eventType, granularity, start, producerId, lacking, differ };
}

function findingsText(findings: Findings, how: string): string {
  const { entries, differences, cells, elsewhere, shown } = findings;
  const lines = shown.map(({ key, eventType, granularity, start, producerId, lacking, differ }) => {
    const what = [
      ...(lacking.length > 0 ? [`lacking on ${lacking.join(', ')}`] : []),
      ...(differ ? ['replicas differ'] : []),
    ];
    return `  ${key}  ${eventType}  ${granularity}${start === undefined ? '' : ` ${start}`}  producer ${producerId}: ${what.join('; ')}`;
  });
  if (differences > shown.length)
    lines.push(`  … and ${formatCount(differences - shown.length)} more entries`);
  const rest =
    elsewhere > 0
      ? `${formatCount(elsewhere)} entries lie on nodes that do not replicate them (harmless)\n`
      : '';
  if (differences === 0)
    return `clean: ${formatCount(entries)} entries, every replica equal (${how})\n${rest}`;
  return `${formatCount(cells)} cells differ, in ${formatCount(differences)} of ${formatCount(entries)} entries (${how}):
${lines.join('\n')}
${rest}Repair goes on by itself; what is written meanwhile may show here too. Run verify again in a few seconds.
`;
}
