import type { ClusterDescription } from '../proto/calls.js';
import { type CommonOptions, withContact } from './contact.js';
import type { Environment } from './environment.js';
import type { ExitCode } from './exit.js';
import { formatCount, table } from './format.js';
import { print, reportOf, type StatusRow, statusRows } from './operator.js';
import { ringOf } from './ring-of.js';

/** `ring`: what nodetool ring shows. */

/** A line per node; with `tokens` a line per token. */
export function ring(
  environment: Environment,
  options: CommonOptions & { tokens?: boolean },
): Promise<ExitCode> {
  return withContact(environment, options, async (contact) => {
    const report = await reportOf(contact);
    const rows = statusRows(report, new Map());
    const { cluster, ringEpoch } = report;
    if (options.tokens === true) {
      const tokens = tokensOf(report.ring);
      const list = tokens.map(({ token, nodeId }) => ({ token: token.toString(), nodeId }));
      return print(environment, options, { cluster, ringEpoch, tokens: list }, () =>
        tokensText(rows, tokens),
      );
    }
    const nodes = rows.map(({ nodeId, address, datacenter, rack, up, status, tokens, owns }) => {
      return { nodeId, address, datacenter, rack, up, status, tokens, owns };
    });
    return print(environment, options, { cluster, ringEpoch, nodes }, () => ringText(rows));
  });
}

const RING_HEAD = ['Address', 'Node', 'DC', 'Rack', 'Status', 'State'];

function ringCells({ address, nodeId, datacenter, rack, up, status }: StatusRow): string[] {
  const state = status === '' ? '?' : status[0]!.toUpperCase() + status.slice(1);
  return [address, nodeId, datacenter, rack, up ? 'Up' : 'Down', state];
}

function ringText(rows: readonly StatusRow[]): string {
  const lines = rows.map((row) => [
    ...ringCells(row),
    formatCount(row.tokens),
    `${(row.owns * 100).toFixed(1)}%`,
  ]);
  return `${table([[...RING_HEAD, 'Tokens', 'Owns'], ...lines], [6, 7])}(ring --tokens lists every token)\n`;
}

function tokensText(
  rows: readonly StatusRow[],
  tokens: readonly { token: bigint; nodeId: string }[],
): string {
  const cells = new Map(
    rows.map((row) => [row.nodeId, [...ringCells(row), `${(row.owns * 100).toFixed(1)}%`]]),
  );
  const lines = tokens.map(({ token, nodeId }) => [...cells.get(nodeId)!, token.toString()]);
  return table([[...RING_HEAD, 'Owns', 'Token'], ...lines], [6, 7]);
}

function tokensOf(cluster: ClusterDescription): { token: bigint; nodeId: string }[] {
  const { tokens, arcSets, replicaSets } = ringOf(cluster);
  return Array.from(tokens, (token, i) => ({ token, nodeId: replicaSets[arcSets[i]!]!.nodeIds[0]! }));
}
