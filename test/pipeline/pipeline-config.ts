import { stringify } from 'yaml';

/** What a drill wants to be different. */
export interface PipelineSettings {
  /** Fields of cluster.yml's services.processing, beside its instances. */
  processing?: Record<string, unknown>;
}

export interface PipelinePorts {
  nodes: readonly number[];
  nodeMetrics: readonly number[];
  log: number;
  logMetrics: number;
  query: number;
  instances: readonly number[];
}

export interface ConfigParts {
  ports: PipelinePorts;
  instances: readonly string[];
  /** In place of the embedded log's own section. */
  log?: object | undefined;
  settings: PipelineSettings;
}

/** Of the cluster.yml that a drill's processes are started with: short times, so that much happens in a drill. */
export function pipelineConfig({ ports, instances, log, settings }: ConfigParts): string {
  const nodes = ports.nodes.map((port, i) => ({ id: `n${i + 1}`, port, metricsPort: ports.nodeMetrics[i] }));
  return stringify({
    cluster: 'drill-pipeline',
    replication: { dc1: 3 },
    logLevel: 'info',
    nodes,
    // A recovering node waits for the longest request to end.
    limits: { maxRequestMs: 3_000, defaultRequestMs: 2_000 },
    services: {
      log: log ?? { port: ports.log, metricsPort: ports.logMetrics },
      processing: {
        instances: instances.map((name, i) => ({ name, port: ports.instances[i] })),
        flushIntervalMs: 500,
        attemptTimeoutMs: 1_500,
        heartbeatMs: 500,
        takeOverAfterMs: 1_500,
        memberIntervalMs: 500,
        deadAfterMs: 2_500,
        appendTimeoutMs: 3_000,
        ...settings.processing,
      },
      // Fifteen years of hours, most of them empty, of many videos at a time.
      query: { port: ports.query, limits: { maxPoints: 100_000_000 } },
    },
  });
}
