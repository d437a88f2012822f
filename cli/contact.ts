import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { ClusterConfig } from '../node/config.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import type { Environment, OperatorConnection } from './environment.js';
import { usage } from './exit.js';

/** Options that every verb has. */
export interface CommonOptions {
  json?: boolean;
  config?: string;
  data?: string;
  host?: string;
  contact?: string;
  /** Milliseconds, as text. */
  timeout?: string;
  /** Set when one node of cluster.yml is meant (--node): who that is, and where the others are. */
  alone?: { nodeId: string; others: readonly string[] };
}

export const DEFAULT_TIMEOUT_MS = 5_000;
const PROBE_TIMEOUT_MS = 1_000;

/** The cluster.yml that a verb means: --config, else that of the working folder, else the project's. */
export function configPathOf(environment: Environment, options: CommonOptions): string {
  if (options.config !== undefined) return resolve(environment.cwd, options.config);
  const here = join(environment.cwd, 'cluster.yml');
  return existsSync(here) ? here : join(environment.projectRoot, 'cluster.yml');
}

/** The state folder: --data, else `.tallyring` beside cluster.yml. */
export function dataFolderOf(environment: Environment, options: CommonOptions): string {
  if (options.data !== undefined) return resolve(environment.cwd, options.data);
  return join(dirname(configPathOf(environment, options)), '.tallyring');
}

export async function configOf(environment: Environment, options: CommonOptions): Promise<ClusterConfig> {
  // zod and yaml take longer to load than most verbs run.
  const { loadClusterConfig } = await import('../node/config-file.js');
  return loadClusterConfig(configPathOf(environment, options));
}

/** host:port, checked. Throws INVALID_ARGUMENT. */
export function parseAddress(text: string): string {
  const port = Number(/^(?:[^\s:]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text)?.[1]);
  if (!(port >= 1 && port <= 65_535)) throw usage(`${JSON.stringify(text)} is no address; give host:port`);
  return text;
}

/** Addresses to turn to: --host/--contact, else every node of cluster.yml. */
export async function addressesOf(environment: Environment, options: CommonOptions): Promise<string[]> {
  const named = options.contact ?? options.host;
  if (named !== undefined) return named.split(',').map((text) => parseAddress(text.trim()));
  const config = await configOf(environment, options);
  return config.nodes.map((node) => addressOf(node));
}

export function addressOf(node: { host: string; port: number }): string {
  return node.host.includes(':') ? `[${node.host}]:${node.port}` : `${node.host}:${node.port}`;
}

/** Any node of the cluster: a call goes to the last one that answered, and on to the next when it does not. */
export interface Contact {
  readonly addresses: readonly string[];
  readonly timeoutMs: number;
  call<T>(ask: (node: OperatorConnection) => Promise<T>): Promise<T>;
  connect(address: string): Promise<OperatorConnection>;
  close(): void;
}

/** Whether another node may be asked the same: it is certain that nothing was applied, and it may go better there. */
function movesOn(error: TallyringError): boolean {
  if (error.mayHaveApplied) return false;
  return (
    error.code === 'UNAVAILABLE' ||
    error.code === 'STORE_FAILED' ||
    error.code === 'READ_TIMEOUT' ||
    error.code === 'CLOSED'
  );
}

export async function openContact(environment: Environment, options: CommonOptions): Promise<Contact> {
  const addresses = await addressesOf(environment, options);
  const timeoutMs = timeoutOf(options);
  const connections = new Map<string, Promise<OperatorConnection>>();
  let preferred = 0;

  function connect(address: string): Promise<OperatorConnection> {
    let connection = connections.get(address);
    if (connection === undefined) {
      connection = environment.connect(address);
      connections.set(address, connection);
    }
    return connection;
  }

  /** One node alone may be down, or the whole cluster: what helps is not the same. */
  async function silence(): Promise<TallyringError> {
    const { alone } = options;
    if (alone === undefined) return nobody(environment, options, addresses);
    const answers = alone.others.map(async (address) =>
      (await connect(address)).describe({ timeoutMs: Math.min(timeoutMs, PROBE_TIMEOUT_MS) }),
    );
    const anyAnswers = await Promise.any(answers).then(
      () => true,
      () => false,
    );
    if (!anyAnswers) return nobody(environment, options, [...addresses, ...alone.others]);
    const start = commandLine(environment, ['cluster', 'start', alone.nodeId], options);
    return new TallyringError('UNAVAILABLE', `${alone.nodeId} is down; start it with ${start}`, {
      mayHaveApplied: false,
    });
  }

  async function call<T>(ask: (node: OperatorConnection) => Promise<T>): Promise<T> {
    const errors: TallyringError[] = [];
    const first = preferred;
    for (let i = 0; i < addresses.length; i++) {
      const index = (first + i) % addresses.length;
      try {
        const answer = await ask(await connect(addresses[index]!));
        preferred = index;
        return answer;
      } catch (thrown) {
        const error = asTallyringError(thrown);
        if (!movesOn(error)) throw error;
        errors.push(error);
      }
    }
    // A node that answered knows more than a connection that was refused.
    throw (
      errors.find((error) => error.required !== undefined || error.code !== 'UNAVAILABLE') ??
      (await silence())
    );
  }

  return {
    addresses,
    timeoutMs,
    call,
    connect,
    close: () => {
      for (const connection of connections.values()) connection.then((node) => node.close()).catch(() => {});
    },
  };
}

function nobody(
  environment: Environment,
  options: CommonOptions,
  addresses: readonly string[],
): TallyringError {
  const up = commandLine(environment, ['cluster', 'up'], options);
  return new TallyringError(
    'UNAVAILABLE',
    `no node answers at ${addresses.join(', ')}; start a cluster with npm start (or ${up}), \
or say where it is with --contact host:port`,
    { mayHaveApplied: false },
  );
}

export function timeoutOf(options: CommonOptions): number {
  if (options.timeout === undefined) return DEFAULT_TIMEOUT_MS;
  const ms = Number(options.timeout);
  if (!Number.isInteger(ms) || ms < 1 || ms > 600_000)
    throw usage(`--timeout ${options.timeout} must be 1 to 600000 milliseconds`);
  return ms;
}

/** Runs with a contact and closes it whatever happens. */
export async function withContact<T>(
  environment: Environment,
  options: CommonOptions,
  run: (contact: Contact) => Promise<T>,
): Promise<T> {
  const contact = await openContact(environment, options);
  try {
    return await run(contact);
  } finally {
    contact.close();
  }
}
