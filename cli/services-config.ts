import type { ClusterConfig } from '../node/config.js';
import { isLoopback, notLoopback, parseConfig, readConfigText } from '../node/config-file.js';
import {
  type ConfigProblem,
  type ServicesConfig,
  serviceProblems,
  servicesFileSchema,
} from '../services/config.js';

/** The services of a cluster.yml, checked against its nodes. */

export function loadServicesConfig(path: string, cluster: ClusterConfig): ServicesConfig | undefined {
  return parseServicesConfig({ text: readConfigText(path), name: path }, cluster);
}

/** Undefined when the file has no such section: then there is no pipeline. Throws INVALID_ARGUMENT. */
export function parseServicesConfig(
  file: { text: string; name: string },
  cluster: ClusterConfig,
): ServicesConfig | undefined {
  const { services } = parseConfig(file, servicesFileSchema, (config) =>
    config.services === undefined
      ? []
      : [...serviceProblems(config.services), ...besideNodes(config.services, cluster)],
  );
  return services;
}

function besideNodes({ log, processing, query }: ServicesConfig, cluster: ClusterConfig): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const nodePorts = new Set(
    cluster.nodes.flatMap(({ host, port, metricsPort }) => [`${host}:${port}`, `${host}:${metricsPort}`]),
  );
  const check = ({ host, port }: { host: string; port: number }, path: (string | number)[]) => {
    if (!cluster.insecure && !isLoopback(host)) {
      problems.push({ path: [...path, 'host'], message: notLoopback(host) });
    }
    if (port !== 0 && nodePorts.has(`${host}:${port}`)) {
      problems.push({ path: [...path, 'port'], message: `address ${host}:${port} is a node's` });
    }
  };
  if (log.kafka === undefined) check(log, ['services', 'log']);
  check(query, ['services', 'query']);
  for (const [i, instance] of processing.instances.entries()) {
    const path = ['services', 'processing', 'instances', i];
    check(instance, path);
    if (cluster.nodes.some(({ id }) => id === instance.name)) {
      problems.push({ path: [...path, 'name'], message: `${instance.name} is a node's name` });
    }
  }
  for (const [i, { id }] of cluster.nodes.entries()) {
    if (id === 'log' || id === 'query') {
      problems.push({
        path: ['nodes', i, 'id'],
        message: `${id} is the name of a service; call the node something else`,
      });
    }
  }
  return problems;
}
