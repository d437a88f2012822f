import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { clusterSchema } from '../../../node/config.js';
import { loadClusterConfig, parseClusterConfig } from '../../../node/config-file.js';
import { TallyringError } from '../../../proto/errors.js';

const NODES = `nodes:
  - {id: n1, port: 7101}
  - {id: n2, port: 7102}
  - {id: n3, port: 7103}
`;
const GOOD = `cluster: c
replication: {dc1: 3}
${NODES}`;

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(TallyringError);
    expect((error as TallyringError).code).toBe('INVALID_ARGUMENT');
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

describe('parseClusterConfig', () => {
  it('fills in the defaults', () => {
    const config = parseClusterConfig(GOOD, 'cluster.yml');
    expect(config.rollups).toEqual(['total', 'day', 'hour']);
    expect(config.nodes[0]).toMatchObject({
      host: '127.0.0.1',
      datacenter: 'dc1',
      rack: 'r1',
      metricsPort: 0,
    });
    expect(config.limits.maxRequestMs).toBe(10_000);
  });

  const table: [name: string, text: string, ...parts: string[]][] = [
    ['empty file', '', 'c.yml: must be a YAML map with the fields cluster, replication'],
    ['a list', '- a', 'must be a YAML map'],
    ['not YAML', 'cluster: [', 'c.yml:1: not YAML'],
    [
      'unknown top-level key',
      `${GOOD}colour: red\n`,
      'c.yml:7: colour: unknown field `colour`; allowed: cluster,',
    ],
    [
      'unknown limit',
      `${GOOD}limits: {maxBytes: 3}\n`,
      'c.yml:7: limits.maxBytes: unknown field `maxBytes`; allowed: maxRequestMs, defaultRequestMs',
    ],
    [
      'unknown field of a node',
      GOOD.replace('id: n2, port', 'id: n2, Port'),
      'nodes[1].Port: unknown field `Port`; allowed: id, host, port, metricsPort',
      'c.yml:5: nodes[1].port: is missing; expected a number',
    ],
    ['duplicate key', `${GOOD}cluster: d\n`, 'c.yml:7: a key stands here twice'],
    [
      'duplicate key inside',
      GOOD.replace('{dc1: 3}', '{dc1: 3, dc1: 2}'),
      'c.yml:2: a key stands here twice',
    ],
    ['missing cluster', GOOD.replace('cluster: c\n', ''), 'c.yml: cluster: is missing; expected a string'],
    [
      'bad cluster name',
      GOOD.replace('cluster: c', 'cluster: "a b"'),
      'c.yml:1: cluster: ',
      'letters, digits',
    ],
    [
      'bad rollup',
      `${GOOD}rollups: [total, week]\n`,
      'c.yml:7: rollups[1]: ',
      'must be one of total, day, hour, minute, not "week"',
    ],
    ['rollups without total', `${GOOD}rollups: [day]\n`, 'c.yml:7: rollups: must include total'],
    [
      'rollup twice',
      `${GOOD}rollups: [total, day, day]\n`,
      'c.yml:7: rollups: a granularity stands here twice',
    ],
    [
      'replicas above nodes',
      GOOD.replace('dc1: 3', 'dc1: 4'),
      'c.yml:2: replication.dc1: 4 replicas but only 3 nodes',
    ],
    ['no replicas', GOOD.replace('dc1: 3', 'dc1: 0'), 'c.yml:2: replication.dc1: ', 'must be at least 1'],
    [
      'datacenter without replication',
      `${GOOD}  - {id: n4, port: 7104, datacenter: dc2}\n`,
      'c.yml:7: nodes[3].datacenter: datacenter dc2',
    ],
    ['duplicate id', GOOD.replace('id: n3', 'id: n1'), 'c.yml:6: nodes[2].id: node n1 is named twice'],
    ['duplicate port', GOOD.replace('7103', '7101'), 'c.yml:6: nodes[2].port: address is used twice'],
    [
      'metricsPort of another port',
      GOOD.replace('7103', '7103, metricsPort: 7101'),
      'c.yml:6: nodes[2].metricsPort: address 127.0.0.1:7101 is used twice',
    ],
    [
      'port as text',
      GOOD.replace('7102', 'http'),
      'c.yml:5: nodes[1].port: ',
      'must be a number, not "http"',
    ],
    ['port out of range', GOOD.replace('7102', '70000'), 'c.yml:5: nodes[1].port: ', 'must be at most 65535'],
    [
      'fraction',
      `${GOOD}limits: {maxRequestMs: 1.5}\n`,
      'c.yml:7: limits.maxRequestMs: ',
      'must be an integer, not 1.5',
    ],
    [
      'limit of zero',
      `${GOOD}limits: {maxRequestMs: 0}\n`,
      'c.yml:7: limits.maxRequestMs: ',
      'must be more than 0',
    ],
    ['NaN', `${GOOD}limits: {maxRequestMs: .nan}\n`, 'c.yml:7: limits.maxRequestMs: ', 'NaN'],
    [
      'nodes as map',
      'cluster: c\nreplication: {dc1: 1}\nnodes: {n1: 7101}\n',
      'c.yml:3: nodes: ',
      'must be a list, not an object',
    ],
    ['no nodes', 'cluster: c\nreplication: {dc1: 1}\nnodes: []\n', 'c.yml:3: nodes: '],
    [
      'durability',
      `${GOOD}durability: maybe\n`,
      'c.yml:7: durability: ',
      'must be one of sync, periodic, not "maybe"',
    ],
    [
      'open address',
      GOOD.replace('id: n1,', 'id: n1, host: 0.0.0.0,'),
      'c.yml:4: nodes[0].host: 0.0.0.0 is not loopback',
      'insecure: true',
    ],
    [
      'name that looks like loopback',
      GOOD.replace('id: n1,', 'id: n1, host: 127.example.org,'),
      'nodes[0].host: 127.example.org is not loopback',
    ],
  ];
  it.each(table)('refuses: %s', (_name, text, ...parts) => {
    const message = messageOf(() => parseClusterConfig(text, 'c.yml'));
    for (const part of parts) expect(message).toContain(part);
  });

  it('lists several problems, a line each, at most ten', () => {
    const many = Array.from({ length: 14 }, (_, i) => `  - {id: n1, port: ${8000 + i}}\n`).join('');
    const lines = messageOf(() => parseClusterConfig(GOOD + many, 'c.yml')).split('\n');
    expect(lines).toHaveLength(10);
  });

  it('takes an open address with insecure: true', () => {
    const config = parseClusterConfig(
      `${GOOD.replace('id: n1,', 'id: n1, host: 0.0.0.0,')}insecure: true\n`,
      'c',
    );
    expect(config.nodes[0]?.host).toBe('0.0.0.0');
  });
});

describe('the cluster.yml of the project', () => {
  const path = 'cluster.yml';

  it('is three nodes with three replicas', () => {
    const config = loadClusterConfig(path);
    expect(config.replication).toEqual({ dc1: 3 });
    expect(config.nodes.map(({ id, port, metricsPort }) => [id, port, metricsPort])).toEqual([
      ['n1', 7101, 7201],
      ['n2', 7102, 7202],
      ['n3', 7103, 7203],
    ]);
  });

  it('comments show the true default of every limit and option', () => {
    const text = readFileSync(path, 'utf8');
    // A commented field is `# name: value`; prose is not, because it has words after the colon or none.
    const uncommented = text.replace(/^# ?((?: {2})?(?:[a-zA-Z]+):(?: [A-Za-z0-9]+)?)$/gm, '$1');
    const config = parseClusterConfig(uncommented, path);
    expect(config).toEqual(loadClusterConfig(path));
    const { limits, gossip } = clusterSchema.parse({
      cluster: 'c',
      replication: { dc1: 1 },
      nodes: [{ id: 'n', port: 1 }],
    });
    for (const name of [...Object.keys(limits), ...Object.keys(gossip)]) {
      expect(uncommented).toMatch(new RegExp(`^  ${name}: `, 'm'));
    }
  });

  it('a missing file is named', () => {
    expect(messageOf(() => loadClusterConfig('/nowhere/cluster.yml'))).toContain(
      '/nowhere/cluster.yml: no such file',
    );
  });
});
