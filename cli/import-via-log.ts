import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { TallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions, configOf, configPathOf } from './contact.js';
import type { Environment } from './environment.js';
import { usage } from './exit.js';
import { formatCount } from './format.js';
import { LogSink, type LogSinkOptions, notTheService } from './log-sink.js';

/** `import FILE --via log`: to which service, and under which names. */

export interface ViaLogOptions extends CommonOptions {
  via?: string;
  url?: string;
  datacenter?: string;
}

const HEALTH_TIMEOUT_MS = 2_000;
/** Read of a file's beginning and of its end to tell it from others. */
const SAMPLE_BYTES = 64 * 1024;
const STDIN = '-';

/** Whether the events go through the log. Throws INVALID_ARGUMENT. */
export function isViaLog({ via, url, datacenter, contact, host }: ViaLogOptions): boolean {
  if (via === undefined) {
    if (url !== undefined) throw usage('--url goes with --via log');
    return false;
  }
  if (via !== 'log') throw usage(`--via ${JSON.stringify(via)} is unknown; there is --via log`);
  if (datacenter !== undefined || (contact ?? host) !== undefined)
    throw usage('--contact and --datacenter are for nodes; --via log goes through the service at --url');
  return true;
}

export async function openLogSink(
  environment: Environment,
  what: { file: string; options: ViaLogOptions },
  hooks: Pick<LogSinkOptions, 'onRejected' | 'note' | 'giveUp'>,
): Promise<LogSink> {
  const { file, options } = what;
  const urls = await urlsOf(environment, options);
  const runId = runIdOf(environment, file);
  await checkService(environment, urls, options);
  return new LogSink({ environment, urls, runId, ...hooks });
}

/** --url, else every instance of cluster.yml. */
async function urlsOf(environment: Environment, options: ViaLogOptions): Promise<string[]> {
  if (options.url !== undefined) return options.url.split(',').map((url) => checkUrl(url.trim()));
  const { loadServicesConfig } = await import('./services-config.js');
  const config = await configOf(environment, options);
  const services = loadServicesConfig(configPathOf(environment, options), config);
  if (services !== undefined) return services.processing.instances.map((at) => `http://${addressOf(at)}`);
  throw usage('cluster.yml has no services; say where the processing service is with --url http://host:port');
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' || url.pathname !== '/' || url.search !== '')
    throw usage(`--url ${JSON.stringify(text)} must be like http://127.0.0.1:7130`);
  return url.origin;
}

/** The same for the same file, so that a rerun names the same events alike; standard input has no such name. */
function runIdOf(environment: Environment, file: string): string {
  if (file === STDIN) return randomBytes(8).toString('hex');
  const handle = openSync(resolve(environment.cwd, file), 'r');
  try {
    const { size } = fstatSync(handle);
    const hash = createHash('sha256').update(`${basename(file)}\0${size}\0`);
    const sample = Buffer.alloc(SAMPLE_BYTES);
    for (const from of [0, Math.max(0, size - SAMPLE_BYTES)])
      hash.update(sample.subarray(0, readSync(handle, sample, 0, SAMPLE_BYTES, from)));
    return hash.digest('hex').slice(0, 16);
  } finally {
    closeSync(handle);
  }
}

async function checkService(
  environment: Environment,
  urls: readonly string[],
  options: ViaLogOptions,
): Promise<void> {
  const asked = urls.map((url) => environment.http({ url: `${url}/health`, timeoutMs: HEALTH_TIMEOUT_MS }));
  const answers = await Promise.allSettled(asked);
  const statuses = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.status : 0));
  // One that is not ready yet says 503: events wait for it.
  if (statuses.some((status) => status === 200 || status === 503)) return;
  const other = statuses.findIndex((status) => status !== 0);
  if (other !== -1) throw notTheService(urls[other]!, statuses[other]!);
  const up = commandLine(environment, ['cluster', 'up'], { config: options.config });
  throw new TallyringError(
    'UNAVAILABLE',
    `no processing service answers at ${urls.join(', ')}; start all with npm start (or ${up}), or say where it is with --url http://host:port`,
    { mayHaveApplied: false },
  );
}

/** What holds for whoever sends the same events again. */
export function rerunText(file: string, events: number, dedupWindow: number | undefined): string {
  if (file === STDIN)
    return 'standard input sent again is counted again, but for events that have an eventId';
  if (dedupWindow === undefined)
    return 'a rerun of the same file counts nothing twice within the dedupWindow';
  const window = `${formatCount(dedupWindow)} records (dedupWindow)`;
  const held = `a rerun of the same file counts nothing twice while fewer than ${window} have come into a partition since, and shows as duplicates in the service's /health`;
  if (events < dedupWindow) return held;
  return `${held}; this file alone may be more than that`;
}
