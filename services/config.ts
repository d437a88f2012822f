import { z } from 'zod';
import { kafkaLogConfigSchema, logConfigSchema } from './log/config.js';
import { processingConfigSchema, RECORD_SLACK_BYTES } from './processing/config.js';
import { queryConfigSchema } from './query/config.js';

/** The `services` section of cluster.yml, checked: the counting pipeline's log, processing and query services. */

const logSchema = logConfigSchema.extend({
  /** Relative to cluster.yml; in the state folder when absent. */
  dataDir: z.string().min(1).optional(),
  /** The log is on Kafka instead: there is no `tallyring log` then, and what else is said of it has no meaning. */
  kafka: kafkaLogConfigSchema.optional(),
});

const querySchema = queryConfigSchema.extend({
  /** The first processing instance when absent. */
  eventsAddress: z.string().min(1).optional(),
});

const servicesSchema = z.strictObject({
  log: logSchema.prefault({}),
  processing: processingConfigSchema.prefault({}),
  query: querySchema.prefault({}),
});

/** A section all of whose fields are commented out is null in YAML: it means its defaults. */
function withoutNulls(section: unknown): unknown {
  if (section === null) return {};
  if (typeof section !== 'object' || Array.isArray(section)) return section;
  return Object.fromEntries(Object.entries(section).map(([name, value]) => [name, value ?? {}]));
}

/** A cluster.yml with an eye to its services only. */
export const servicesFileSchema = z.looseObject({
  services: z.preprocess(
    (section) => (section === undefined ? section : withoutNulls(section)),
    servicesSchema.optional(),
  ),
});

export type ServicesConfig = z.output<typeof servicesSchema>;

export interface ConfigProblem {
  path: (string | number)[];
  message: string;
}

/** What the sections say only together: names and addresses that are taken twice. */
export function serviceProblems(services: ServicesConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const { log, processing, query } = services;
  const used = new Set<string>();
  const take = ({ host, port }: { host: string; port: number }, path: (string | number)[]) => {
    const address = `${host}:${port}`;
    if (port !== 0 && used.has(address)) problems.push({ path, message: `address ${address} is used twice` });
    used.add(address);
  };
  if (log.kafka === undefined) {
    take(log, ['services', 'log', 'port']);
    take({ host: log.host, port: log.metricsPort }, ['services', 'log', 'metricsPort']);
  }
  take(query, ['services', 'query', 'port']);
  problems.push(...limitProblems(services));
  const names = new Set<string>();
  for (const [i, instance] of processing.instances.entries()) {
    const path = ['services', 'processing', 'instances', i];
    if (names.has(instance.name)) {
      problems.push({ path: [...path, 'name'], message: `instance ${instance.name} is named twice` });
    }
    names.add(instance.name);
    take(instance, [...path, 'port']);
  }
  return problems;
}

/**
 * What one request may bring must fit into one append, the log's answer must come before the caller's is due, and
 * a heartbeat before the next owner takes over.
 */
function limitProblems({ log, processing }: ServicesConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const { http, maxEventsPerRequest, appendTimeoutMs, heartbeatMs, takeOverAfterMs } = processing;
  const { maxAppendBytes } = log.kafka ?? log;
  const largest = http.maxBodyBytes + maxEventsPerRequest * RECORD_SLACK_BYTES;
  if (largest > maxAppendBytes) {
    const message = `with ${maxEventsPerRequest} events a request takes up to ${largest} bytes of the log, more than its maxAppendBytes (${maxAppendBytes}); lower maxBodyBytes or maxEventsPerRequest, or raise maxAppendBytes`;
    problems.push({ path: ['services', 'processing', 'http', 'maxBodyBytes'], message });
  }
  if (appendTimeoutMs >= http.answerTimeoutMs) {
    const message = `must be less than http.answerTimeoutMs (${http.answerTimeoutMs}), or callers are answered without knowing why`;
    problems.push({ path: ['services', 'processing', 'appendTimeoutMs'], message });
  }
  if (takeOverAfterMs < 2 * heartbeatMs) {
    const message = `must be at least two heartbeats (heartbeatMs is ${heartbeatMs}), or owners are taken for dead`;
    problems.push({ path: ['services', 'processing', 'takeOverAfterMs'], message });
  }
  return problems;
}
