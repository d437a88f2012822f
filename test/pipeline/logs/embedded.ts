import { connectLog } from '../../../services/log/transport/client.js';
import type { Pipeline } from '../pipeline.js';
import type { DrillLog } from './drill-log.js';

/** `tallyring log`, a process of the pipeline. */
export function embeddedLog(pipeline: Pipeline): DrillLog {
  const { log: port, logMetrics: metricsPort } = pipeline.ports;
  return {
    kind: 'embedded',
    partitions: 4,
    section: { port, metricsPort },
    async start() {
      pipeline.launch('log');
      await pipeline.untilWell('log');
    },
    kill: () => pipeline.processes.kill('log'),
    connect: () => connectLog({ address: `127.0.0.1:${port}` }),
    close: async () => {},
  };
}
