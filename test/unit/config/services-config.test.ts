import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { serviceParts } from '../../../cli/parts.js';
import { logPlaceOf } from '../../../cli/service-verbs.js';
import { parseServicesConfig } from '../../../cli/services-config.js';
import { parseClusterConfig } from '../../../node/config-file.js';
import { kafkaLogConfigSchema } from '../../../services/log/config.js';

const CLUSTER = `cluster: c
replication: {dc1: 1}
nodes:
  - {id: n1, port: 7101, metricsPort: 7201}
`;

function parse(services: string, cluster = CLUSTER) {
  const text = cluster + services;
  return parseServicesConfig({ text, name: 'c.yml' }, parseClusterConfig(text, 'c.yml'));
}

describe('the services of cluster.yml', () => {
  it('are none when it names none', () => {
    expect(parse('')).toBeUndefined();
  });

  it.each([['services:\n'], ['services: {}\n'], ['services:\n  log:\n  processing:\n  query:\n']])(
    'have their defaults: %j',
    (text) => {
      const services = parse(text)!;
      expect(services.log.port).toBe(7120);
      expect(services.query.port).toBe(7140);
      expect(services.processing).toMatchObject({
        dedupWindow: 100_000,
        flushIntervalMs: 1_000,
        instances: [{ name: 'p1', host: '127.0.0.1', port: 7130 }],
      });
    },
  );

  const instances = (...lines: string[]) =>
    `services:\n  processing:\n    instances:\n${lines.map((line) => `      - {${line}}\n`).join('')}`;
  const table: [name: string, text: string, ...parts: string[]][] = [
    [
      'unknown service',
      'services: {colour: red}',
      'c.yml:5: services.colour: unknown field `colour`; allowed: log, processing, query',
    ],
    [
      'unknown field',
      'services:\n  processing: {dedupWindw: 3}',
      'c.yml:6: services.processing.dedupWindw: unknown field',
      'allowed: pipeline, instances, dedupWindow',
    ],
    ['no map', 'services: 7', 'c.yml:5: services: must be an object, not 7'],
    ['bad port', instances('name: p1, port: x'), 'c.yml:8: services.processing.instances[0].port: '],
    [
      'a take-over before the heartbeat',
      'services: {processing: {heartbeatMs: 9000}}',
      'services.processing.takeOverAfterMs: must be at least two heartbeats',
    ],
    [
      'no instance',
      'services: {processing: {instances: []}}',
      'services.processing.instances: must have at least 1 entry',
    ],
    [
      'a name twice',
      instances('name: p1, port: 1', 'name: p1, port: 2'),
      'c.yml:9: services.processing.instances[1].name: instance p1 is named twice',
    ],
    ['a name of a service', instances('name: log, port: 1'), 'log and query are the other services'],
    ['a name of a node', instances('name: n1, port: 1'), "instances[0].name: n1 is a node's name"],
    ['an address twice', instances('name: p1, port: 7120'), 'address 127.0.0.1:7120 is used twice'],
    ['an address of a node', instances('name: p1, port: 7101'), "address 127.0.0.1:7101 is a node's"],
    [
      'the metrics of a node',
      'services: {query: {port: 7201}}',
      "services.query.port: address 127.0.0.1:7201 is a node's",
    ],
    [
      'requests that no append holds',
      'services: {log: {maxAppendBytes: 3000000}}',
      'services.processing.http.maxBodyBytes: with 10000 events a request takes up to 3897152 bytes',
    ],
    [
      'appends that outlast their request',
      'services: {processing: {appendTimeoutMs: 15000}}',
      'c.yml:5: services.processing.appendTimeoutMs: must be less than http.answerTimeoutMs (15000)',
    ],
    [
      'an open address',
      instances('name: p1, port: 1, host: 0.0.0.0'),
      '0.0.0.0 is not loopback',
      '`insecure: true`',
    ],
  ];
  it.each(table)('refused: %s', (_name, text, ...messages) => {
    for (const message of messages) expect(() => parse(text)).toThrow(message);
  });

  it('may have the log on Kafka, and no log to run then', () => {
    const services = parse('services: {log: {kafka: {brokers: ["k:9092"]}}}')!;
    expect(logPlaceOf(services)).toEqual({ kafka: expect.objectContaining({ topic: 'tallyring-events' }) });
    expect(serviceParts(services).map(({ id }) => id)).toEqual(['p1', 'query']);
    expect(logPlaceOf(parse('services:')!)).toEqual({ address: '127.0.0.1:7120' });
    expect(() => parse('services: {log: {kafka: {}}}')).toThrow('services.log.kafka.brokers: is missing');
  });

  it('a node cannot have the name of a service', () => {
    const cluster = CLUSTER.replace('id: n1', 'id: log');
    expect(() => parse('services:\n', cluster)).toThrow('c.yml:4: nodes[0].id: log is the name of a service');
    expect(parse('', cluster)).toBeUndefined();
  });

  it('an open address is taken where the network is trusted', () => {
    const text = instances('name: p1, port: 1, host: 0.0.0.0');
    expect(parse(text, `insecure: true\n${CLUSTER}`)!.processing.instances[0]!.host).toBe('0.0.0.0');
  });
});

describe('the cluster.yml of the project', () => {
  const text = readFileSync('cluster.yml', 'utf8');
  const cluster = parseClusterConfig(text, 'cluster.yml');
  const parseText = (text: string) => parseServicesConfig({ text, name: 'cluster.yml' }, cluster)!;
  // A commented field is `# name: value`, indented; prose has words after the colon or none.
  const uncommented = text.replace(
    /^( {2,})# ?((?: {2}){0,2}[a-zA-Z]+:(?: (?:[\w.-]+|\[(?:"[\w.:]+")?\]))?)$/gm,
    (_, indent, field) => indent + field,
  );

  it('comments show the true default of every field of the services', () => {
    const services = parseText(uncommented);
    const { kafka, ...log } = services.log;
    expect({ ...services, log }).toEqual(parseText(text));
    expect(kafka).toEqual(kafkaLogConfigSchema.parse({ brokers: kafka!.brokers }));
    for (const [name, section] of Object.entries(services)) {
      const from = uncommented.indexOf(`\n  ${name}:`);
      expect(from).toBeGreaterThan(0);
      for (const [field, value] of Object.entries(section as object)) {
        expect(uncommented.slice(from)).toMatch(new RegExp(`^    ${field}:`, 'm'));
        if (name === 'processing' && field === 'http') continue; // only what differs; the rest is under query
        if (typeof value !== 'object' || Array.isArray(value)) continue;
        for (const inner of Object.keys(value))
          expect(uncommented.slice(from)).toMatch(new RegExp(`^      ${inner}:`, 'm'));
      }
    }
  });

  it('has the default ports', () => {
    const { log, processing, query } = parseText(text);
    expect([log.port, log.metricsPort, query.port]).toEqual([7120, 7220, 7140]);
    expect(processing.instances).toEqual([{ name: 'p1', host: '127.0.0.1', port: 7130 }]);
  });
});
