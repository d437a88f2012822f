import { dirname, resolve } from 'node:path';
import { type ClusterConfig, VERSION } from '../node/config.js';
import { TallyringError } from '../proto/errors.js';
import type { ServicesConfig } from '../services/config.js';
import type { LogPlace } from '../services/log/open-log.js';
import { addressOf, type CommonOptions, configOf, configPathOf } from './contact.js';
import type { Environment } from './environment.js';
import { type ExitCode, usage } from './exit.js';
import { runForeground } from './foreground.js';
import { lowerPriority } from './priority.js';

/** `tallyring log`, `processing` and `query`: one service in this process, until SIGTERM or SIGINT. */

interface Configs {
  cluster: ClusterConfig;
  services: ServicesConfig;
}

/** Both parts of cluster.yml. Throws INVALID_ARGUMENT when it has no services. */
export async function configsOf(environment: Environment, options: CommonOptions): Promise<Configs> {
  const cluster = await configOf(environment, options);
  const { loadServicesConfig } = await import('./services-config.js');
  const path = configPathOf(environment, options);
  const services = loadServicesConfig(path, cluster);
  if (services !== undefined) return { cluster, services };
  throw usage(`${path} has no services: add a line \`services:\`, which alone means all its defaults`);
}

export function logPlaceOf({ log }: ServicesConfig): LogPlace {
  return log.kafka === undefined ? { address: addressOf(log) } : { kafka: log.kafka };
}

export async function runLogVerb(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const { cluster, services } = await configsOf(environment, options);
  const { dataDir, kafka } = services.log;
  if (kafka !== undefined) {
    throw usage(
      `the log is on Kafka (services.log.kafka, topic ${kafka.topic}): there is nothing to run here`,
    );
  }
  const beside = dirname(configPathOf(environment, options));
  return runForeground(environment, {
    id: 'log',
    options,
    logLevel: cluster.logLevel,
    async start({ logger, folder, fail }) {
      const { runLog } = await import('../services/log/main.js');
      lowerPriority(services.log.niceness);
      const log = await runLog({
        config: { ...services.log, dataDir: dataDir === undefined ? folder : resolve(beside, dataDir) },
        insecure: cluster.insecure,
        logger,
        onFailure: (cause) => fail(new TallyringError('STORE_FAILED', cause.message, { cause })),
      });
      const { port, logId } = log;
      return { stop: () => log.close(), facts: { name: 'log', port, logId } };
    },
  });
}

export async function runProcessingVerb(
  environment: Environment,
  options: CommonOptions & { name?: string },
): Promise<ExitCode> {
  const { cluster, services } = await configsOf(environment, options);
  const { instances } = services.processing;
  const instance =
    options.name === undefined ? instances[0]! : instances.find(({ name }) => name === options.name);
  if (instance === undefined) {
    const names = instances.map(({ name }) => name).join(', ');
    throw usage(`there is no processing instance ${JSON.stringify(options.name)}; there is ${names}`);
  }
  return runForeground(environment, {
    id: instance.name,
    options,
    logLevel: cluster.logLevel,
    async start({ logger, signal }) {
      const [{ runProcessing }, { openLog }] = await Promise.all([
        import('../services/processing/run.js'),
        import('../services/log/open-log.js'),
      ]);
      lowerPriority(services.processing.niceness);
      const running = await runProcessing({
        config: services.processing,
        instance,
        contactPoints: cluster.nodes.map(addressOf),
        openLog: () => openLog(logPlaceOf(services)),
        logger,
        version: VERSION,
        signal,
      });
      const { name, port } = running;
      return { stop: () => running.close(), facts: { name, port } };
    },
  });
}

export async function runQueryVerb(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const { cluster, services } = await configsOf(environment, options);
  const { contactPoints, eventsAddress = addressOf(services.processing.instances[0]!) } = services.query;
  return runForeground(environment, {
    id: 'query',
    options,
    logLevel: cluster.logLevel,
    async start({ logger }) {
      const { runQuery } = await import('../services/query/main.js');
      const config = {
        ...services.query,
        eventsAddress,
        contactPoints: contactPoints.length > 0 ? contactPoints : cluster.nodes.map(addressOf),
      };
      const query = await runQuery(config, { logger, version: VERSION });
      return { stop: () => query.close(), facts: { name: 'query', port: query.port } };
    },
  });
}
