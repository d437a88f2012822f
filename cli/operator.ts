import type { EndpointReport, NodeReport } from '../proto/calls.js';
import {
  addressOf,
  type CommonOptions,
  type Contact,
  configOf,
  parseAddress,
  withContact,
} from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatBytes, formatCount, formatDuration, table } from './format.js';
import { nodeOf } from './node-processes.js';
import { serviceRows, serviceRowsText } from './service-status.js';

/** What nodetool users know: status, info, gossipinfo, getendpoints. */

const LOOK_TIMEOUT_MS = 2_000;

export async function print(
  environment: Environment,
  options: CommonOptions,
  json: unknown,
  text: () => string,
): Promise<ExitCode> {
  await environment.stdout.write(options.json ? `${JSON.stringify(json)}\n` : text());
  return EXIT.done;
}

export function reportOf(contact: Contact): Promise<NodeReport> {
  return contact.call((node) => node.report({ timeoutMs: Math.min(contact.timeoutMs, LOOK_TIMEOUT_MS) }));
}

export interface StatusRow {
  nodeId: string;
  address: string;
  up: boolean;
  status: string;
  /** Entries that it holds; `undefined` when it does not answer. */
  entries: number | undefined;
  tokens: number;
  owns: number;
  storeId: string;
  datacenter: string;
  rack: string;
}

const STATE_LETTER: Record<string, string> = {
  normal: 'N',
  joining: 'J',
  leaving: 'L',
  left: 'L',
  recovering: 'R',
  shutdown: 'S',
};

export function stateLetters(up: boolean, status: string): string {
  return `${up ? 'U' : 'D'}${STATE_LETTER[status] ?? '?'}`;
}

/** The cluster as the reporting node sees it, in the order of its ring. */
export function statusRows(report: NodeReport, entriesOf: ReadonlyMap<string, number>): StatusRow[] {
  const endpoints = new Map(report.endpoints.map((endpoint) => [endpoint.nodeId, endpoint]));
  return report.ring.nodes.map((node) => {
    const self = node.nodeId === report.nodeId;
    const facts = endpoints.get(node.nodeId)?.facts ?? {};
    return {
      nodeId: node.nodeId,
      address: `${node.host}:${node.port}`,
      up: self || node.up,
      status: self ? report.status : node.status,
      entries: entriesOf.get(node.nodeId),
      tokens: report.ring.vnodes,
      owns: Math.round((report.ownership[node.nodeId] ?? 0) * 1e4) / 1e4,
      storeId: self ? report.storeId : String(facts.storeId ?? ''),
      datacenter: node.datacenter,
      rack: node.rack,
    };
  });
}

export function statusText(report: NodeReport, rows: readonly StatusRow[]): string {
  let text = '';
  for (const datacenter of new Set(rows.map((row) => row.datacenter))) {
    const title = `Datacenter: ${datacenter}`;
    text += `${title}\n${'='.repeat(title.length)}\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Recovering/Shutdown\n`;
    const lines = rows
      .filter((row) => row.datacenter === datacenter)
      .map((row) => [
        stateLetters(row.up, row.status),
        row.nodeId,
        row.address,
        row.entries === undefined ? '?' : formatCount(row.entries),
        String(row.tokens),
        `${(row.owns * 100).toFixed(1)}%`,
        row.storeId || '?',
        row.rack,
      ]);
    text += table(
      [
        ['--', 'Node', 'Address', 'Load (entries)', 'Tokens', 'Owns (effective)', 'Host ID', 'Rack'],
        ...lines,
      ],
      [3, 4, 5],
    );
    text += '\n';
  }
  for (const { nodeId, up, entries } of rows) {
    if (up && entries === undefined)
      text += `${nodeId} does not answer; the failure detector has not convicted it yet\n`;
  }
  if (report.waitsFor !== '')
    text += `${report.nodeId} is ${report.status}: it waits for ${report.waitsFor}\n`;
  return `${text}Cluster ${report.cluster}, ring epoch ${report.ringEpoch}, as ${report.nodeId} sees it\n`;
}

/** Asks every node that is up for what only it knows: how many entries it holds. */
async function entriesByNode(contact: Contact, report: NodeReport): Promise<Map<string, number>> {
  const entries = new Map([[report.nodeId, report.entries]]);
  const others = report.ring.nodes.filter((node) => node.up && node.nodeId !== report.nodeId);
  await Promise.all(
    others.map(async (node) => {
      const connection = await contact.connect(`${node.host}:${node.port}`);
      const answer = await connection.report({ timeoutMs: LOOK_TIMEOUT_MS / 2 }).catch(() => undefined);
      if (answer !== undefined) entries.set(node.nodeId, answer.entries);
    }),
  );
  return entries;
}

export function status(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  return withContact(environment, options, async (contact) => {
    const report = await reportOf(contact);
    const rows = statusRows(report, await entriesByNode(contact, report));
    const services = await serviceRows(environment, options);
    const { cluster, nodeId: seenBy, ringEpoch } = report;
    const json = { cluster, seenBy, ringEpoch, nodes: rows, services };
    return print(environment, options, json, () => statusText(report, rows) + serviceRowsText(services));
  });
}

/** One node: --node N, an address (--contact), or the first that answers. */
export async function info(
  environment: Environment,
  options: CommonOptions & { node?: string },
): Promise<ExitCode> {
  return withContact(environment, await narrowed(environment, options), async (contact) => {
    const report = await reportOf(contact);
    return print(environment, options, report, () => infoText(report));
  });
}

/** The options with the contact narrowed to one node of cluster.yml. Throws INVALID_ARGUMENT. */
export async function narrowed<T extends CommonOptions & { node?: string }>(
  environment: Environment,
  options: T,
): Promise<T> {
  if (options.node === undefined) return options;
  if (options.node.includes(':')) return { ...options, contact: parseAddress(options.node) };
  const config = await configOf(environment, options);
  const node = nodeOf(config, options.node);
  const others = config.nodes.filter(({ id }) => id !== node.id).map((other) => addressOf(other));
  return { ...options, contact: addressOf(node), alone: { nodeId: node.id, others } };
}

export function infoText(report: NodeReport): string {
  const self = report.ring.nodes.find((node) => node.nodeId === report.nodeId);
  const hints = Object.entries(report.hints).filter(([, count]) => count > 0);
  const endpoint = report.endpoints.find(({ nodeId }) => nodeId === report.nodeId);
  const rows: [string, string][] = [
    ['Node', report.nodeId],
    ['ID', report.storeId],
    ['Cluster', report.cluster],
    ['Status', report.status],
    ...(report.waitsFor === '' ? [] : [['Waits for', report.waitsFor] as [string, string]]),
    ['Load', `${formatCount(report.entries)} entries`],
    ['Generation No', endpoint === undefined ? '?' : String(endpoint.generation)],
    ['Uptime', formatDuration(report.uptimeMs)],
    ['Memory', formatBytes(report.memoryBytes)],
    ['Data Center', self?.datacenter ?? '?'],
    ['Rack', self?.rack ?? '?'],
    ['Store', report.storeState],
    ['Synced batch', formatCount(report.syncedBatch)],
    ['Damaged rows', formatCount(report.damagedRows)],
    [
      'Hints',
      hints.length === 0
        ? 'none'
        : hints.map(([target, count]) => `${formatCount(count)} for ${target}`).join(', '),
    ],
    ['Ring epoch', String(report.ringEpoch)],
    ['Version', report.version],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)} : ${value}\n`).join('');
}

export function gossipInfo(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  return withContact(environment, options, async (contact) => {
    const report = await reportOf(contact);
    const json = { seenBy: report.nodeId, endpoints: report.endpoints };
    return print(environment, options, json, () => report.endpoints.map(endpointText).join(''));
  });
}

export function endpointText(endpoint: EndpointReport): string {
  const { host = '?', port = '?' } = endpoint.facts;
  const lines = [
    `/${host}:${port} (${endpoint.nodeId})`,
    `generation:${endpoint.generation}`,
    `heartbeat:${endpoint.heartbeat}`,
  ];
  for (const [name, value] of Object.entries(endpoint.facts)) lines.push(`${name}:${value}`);
  lines.push(
    `verdict:${endpoint.up ? 'up' : 'down'}${endpoint.convicted ? ', convicted' : ''}, phi ${endpoint.phi.toFixed(2)}`,
  );
  return `${lines.join('\n  ')}\n`;
}

export function getEndpoints(
  environment: Environment,
  key: string,
  options: CommonOptions,
): Promise<ExitCode> {
  return withContact(environment, options, async (contact) => {
    const { timeoutMs } = contact;
    const [endpoints, cluster] = await contact.call(async (node) => [
      await node.endpointsOf(key, { timeoutMs }),
      await node.describe({ timeoutMs }),
    ]);
    const addresses = new Map(cluster.nodes.map((node) => [node.nodeId, `${node.host}:${node.port}`]));
    const rows = endpoints.map((nodeId) => ({ nodeId, address: addresses.get(nodeId) ?? '?' }));
    return print(environment, options, { key, endpoints: rows }, () =>
      table(rows.map(({ nodeId, address }) => [address, nodeId])),
    );
  });
}
