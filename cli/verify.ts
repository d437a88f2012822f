import { type CommonOptions, type Contact, withContact } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatCount, formatDuration, parsePositive, plural } from './format.js';
import { compare, type Difference, type Findings, SeenCells } from './verify-pass.js';

/** `verify`: reads every replica directly and compares what they hold. */

const DEFAULT_SHOWN = 20;
/** Replicas are read one after the other, and hints and repair take a moment: what differs once may be on its way. */
const MAX_PASSES = 3;
const PAUSE_MS = 2_000;
const HINTS_TIMEOUT_MS = 1_000;

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
    const { findings, passes } = await settle(environment, contact, limit);
    const elapsedMs = Math.round(performance.now() - startedMs);
    const clean = findings.cells === 0;
    const hints = clean ? {} : await waitingHints(contact, findings);
    const { nodes, shown, ...counts } = findings;
    const nodeIds = nodes.map(({ nodeId }) => nodeId);
    const json = { clean, nodes: nodeIds, passes, ...counts, elapsedMs, hints, found: shown };
    const how = `${plural(nodes.length, 'node')}, ${plural(passes, 'pass', 'passes')}, ${formatDuration(elapsedMs)}`;
    await environment.stdout.write(
      options.json ? `${JSON.stringify(json)}\n` : findingsText(findings, hints, how),
    );
    return clean ? EXIT.done : EXIT.partly;
  });
}

/** Looks again at what differs: the last pass counts only cells that an earlier one saw differ too. */
async function settle(
  environment: Environment,
  contact: Contact,
  limit: number,
): Promise<{ findings: Findings; passes: number }> {
  const seen = new SeenCells();
  for (let pass = 1; ; pass++) {
    const isLast = pass === MAX_PASSES;
    const findings = await compare(environment, contact, { limit, seen, pass, onlySeen: isLast });
    if (isLast || findings.cells === 0) return { findings, passes: pass };
    const differ = `${plural(findings.cells, 'cell differs', 'cells differ')} now`;
    await environment.stderr.write(`${differ}; looking again\n`);
    await environment.sleep(PAUSE_MS);
  }
}

/** Hints that wait, by the node they are for. */
async function waitingHints(contact: Contact, { nodes }: Findings): Promise<Record<string, number>> {
  const hints: Record<string, number> = {};
  await Promise.all(
    nodes.map(async ({ address }) => {
      const node = await contact.connect(address);
      const report = await node.report({ timeoutMs: HINTS_TIMEOUT_MS }).catch(() => undefined);
      for (const [target, count] of Object.entries(report?.hints ?? {}))
        if (count > 0) hints[target] = (hints[target] ?? 0) + count;
    }),
  );
  return hints;
}

function differenceText({
  key,
  eventType,
  granularity,
  start,
  entries,
  lacking,
  differ,
}: Difference): string {
  const what = [
    ...(lacking.length > 0 ? [`lacking on ${lacking.join(', ')}`] : []),
    ...(differ ? ['replicas differ'] : []),
  ];
  const window = start === undefined ? granularity : `${granularity} ${start}`;
  return `  ${key}  ${eventType}  ${window}: ${what.join('; ')} (${plural(entries, 'entry', 'entries')})`;
}

function findingsText(findings: Findings, hints: Record<string, number>, how: string): string {
  const { entries, differences, cells, passing, elsewhere, shown } = findings;
  const of = `${plural(entries, 'entry', 'entries')}`;
  const rest: string[] = [];
  if (passing > 0) {
    rest.push(
      `${plural(passing, 'more cell differs', 'more cells differ')} for the first time: most likely just being written`,
    );
  }
  if (elsewhere > 0) {
    const lie = plural(elsewhere, 'entry lies', 'entries lie');
    rest.push(`${lie} on nodes that do not replicate ${elsewhere === 1 ? 'it' : 'them'} (harmless)`);
  }
  const lines = rest.map((line) => `${line}\n`).join('');
  if (cells === 0 && passing === 0) return `clean: ${of}, every replica equal (${how})\n${lines}`;
  if (cells === 0) return `clean: ${of}, no cell differs for longer than a moment (${how})\n${lines}`;
  const waiting = Object.entries(hints).map(([nodeId, count]) => `${formatCount(count)} for ${nodeId}`);
  const going = waiting.length > 0 ? ` (hints that wait: ${waiting.join(', ')})` : '';
  const differ = plural(cells, 'cell differs', 'cells differ');
  const more = cells - shown.length;
  return `Repair and hints go on by themselves${going}; run verify again in a few seconds.
${differ}, in ${formatCount(differences)} of ${of} (${how}):
${shown.map((difference) => `${differenceText(difference)}\n`).join('')}${
  more > 0 ? `  … and ${plural(more, 'more cell', 'more cells')}\n` : ''
}${lines}`;
}
