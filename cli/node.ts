import { asTallyringError, TallyringError } from '../proto/errors.js';
import { type CommonOptions, configOf } from './contact.js';
import type { Environment } from './environment.js';
import type { ExitCode } from './exit.js';
import { runForeground } from './foreground.js';
import { nodeOf } from './node-processes.js';

/** `tallyring node NODEID`: one node in this process, until SIGTERM or SIGINT. Logs to standard output. */
export async function runNodeVerb(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { newCluster?: boolean; acceptLoss?: boolean },
): Promise<ExitCode> {
  const config = await configOf(environment, options);
  const node = nodeOf(config, nodeId);
  const { port, metricsPort } = node;
  return runForeground(environment, {
    id: nodeId,
    options,
    logLevel: config.logLevel,
    explain: (error) => explain(error, node),
    async start({ logger, folder }) {
      const { runNode } = await import('../node/main.js');
      const running = await runNode({
        config,
        nodeId,
        dataFolder: folder,
        newCluster: options.newCluster === true,
        acceptLoss: options.acceptLoss === true,
        logger,
      });
      return { stop: () => running.stop(), facts: { nodeId, port, metricsPort } };
    },
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
