import { mkdirSync } from 'node:fs';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { type CommonOptions, configOf, dataFolderOf } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { nodeOf } from './node-processes.js';
import { claimPidFile, nodeFolder, releasePidFile } from './state-folder.js';

/** `tallyring node NODEID`: one node in this process, until SIGTERM or SIGINT. Logs to standard output. */
export async function runNodeVerb(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { newCluster?: boolean; acceptLoss?: boolean },
): Promise<ExitCode> {
  const config = await configOf(environment, options);
  const node = nodeOf(config, nodeId);
  const data = dataFolderOf(environment, options);
  const dataFolder = nodeFolder(data, nodeId);
  mkdirSync(dataFolder, { recursive: true });
  claimPidFile(data, nodeId, process.pid);
  const ended = interruption(environment);
  try {
    const [{ runNode }, { pino }] = await Promise.all([import('../node/main.js'), import('pino')]);
    const logger = pino({ level: config.logLevel, base: { node: nodeId } });
    const running = await runNode({
      config,
      nodeId,
      dataFolder,
      newCluster: options.newCluster === true,
      acceptLoss: options.acceptLoss === true,
      logger,
    });
    if (options.json) {
      await environment.stdout.write(
        `${JSON.stringify({ nodeId, port: node.port, metricsPort: node.metricsPort, pid: process.pid })}\n`,
      );
    }
    await ended;
    logger.info({}, 'stopping');
    await running.stop();
    return EXIT.done;
  } catch (error) {
    throw explain(error, node);
  } finally {
    releasePidFile(data, nodeId, process.pid);
  }
}

function interruption(environment: Environment): Promise<void> {
  return new Promise((resolve) => {
    environment.onInterrupt(resolve);
  });
}

/** A port in use is the commonest reason of all: say which, and what to do. */
function explain(error: unknown, node: { host: string; port: number; metricsPort: number }): unknown {
  const text =
    error instanceof Error
      ? `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`
      : String(error);
  if (!/EADDRINUSE|address already in use|No address added/i.test(text)) return asTallyringError(error);
  const ports = node.metricsPort === 0 ? `${node.port}` : `${node.port} or ${node.metricsPort}`;
  return new TallyringError(
    'FAILED_PRECONDITION',
    `port ${ports} of ${node.host} is in use: stop what listens there, or give the node other ports in cluster.yml (${text.trim()})`,
    { cause: error },
  );
}
