import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { HttpAnswer } from '../../../cli/environment.js';
import { type Part, partOf, serviceParts, stopSteps } from '../../../cli/parts.js';
import { checkPortsFree } from '../../../cli/ports-free.js';
import { run } from '../../../cli/program.js';
import {
  afterLook,
  healthOf,
  readHealth,
  type ServiceSight,
  serviceState,
} from '../../../cli/service-sights.js';
import { fittedServices, servicesTable } from '../../../cli/services-table.js';
import { curlLines } from '../../../cli/what-to-try.js';
import { fakeEnvironment, refused, report } from './fake-environment.js';

const places = {
  log: { host: '127.0.0.1', port: 7120, metricsPort: 7220 },
  processing: {
    instances: [
      { name: 'p1', host: '127.0.0.1', port: 7130 },
      { name: 'p2', host: '127.0.0.1', port: 7131 },
    ],
  },
  query: { host: '127.0.0.1', port: 7140 },
};
const parts = serviceParts(places);
const p1 = partOf(parts, 'p1');
const node: Part = { id: 'n1', kind: 'node', host: 'h', port: 1, healthPort: 0, words: ['node', 'n1'] };

describe('parts', () => {
  it('are none without a pipeline', () => {
    expect(serviceParts(undefined)).toEqual([]);
  });

  it('are named, and started in order', () => {
    expect(parts.map(({ id, words }) => [id, words.join(' ')])).toEqual([
      ['log', 'log'],
      ['p1', 'processing --name p1'],
      ['p2', 'processing --name p2'],
      ['query', 'query'],
    ]);
    expect(() => partOf(parts, 'p3')).toThrow('no node or service "p3"; there are log, p1, p2, query');
  });

  it('are stopped from the last to the first', () => {
    const steps = stopSteps([node, ...parts]).map((step) => step.map(({ id }) => id));
    expect(steps).toEqual([['p1', 'p2', 'query'], ['log'], ['n1']]);
    expect(stopSteps([node]).map((step) => step.length)).toEqual([1]);
  });
});

describe('health', () => {
  const table: [name: string, answer: HttpAnswer, expected: object | undefined][] = [
    [
      'well',
      { status: 200, body: { name: 'p1', counted: 7, lag: 0 } },
      { ok: true, working: true, message: 'ok', counted: 7, lag: 0 },
    ],
    [
      'well, and not at its work yet',
      { status: 200, body: { name: 'p1', counting: false, message: 'starting' } },
      { ok: true, working: false, message: 'starting' },
    ],
    [
      'a word of its own',
      { status: 200, body: { status: 'catching up' } },
      { ok: true, message: 'catching up' },
    ],
    [
      'not ready',
      { status: 503, body: { message: 'the store is down' } },
      { ok: false, message: 'the store is down' },
    ],
    [
      'not ready, as the query service says it',
      { status: 503, body: { serving: false, store: { reachable: false, reason: 'no node answers' } } },
      { ok: false, message: 'no node answers' },
    ],
    ['no JSON', { status: 200, body: undefined }, { ok: true, message: 'ok' }],
    ['another instance', { status: 200, body: { name: 'p2' } }, undefined],
    ['something else', { status: 404, body: {} }, undefined],
  ];
  it.each(table)('%s', (_name, answer, expected) => {
    const health = readHealth(p1, answer);
    if (expected === undefined) expect(health).toBeUndefined();
    else expect(health).toMatchObject(expected);
  });

  it('is asked where the part says, and unknown when nobody answers', async () => {
    const urls: string[] = [];
    const environment = fakeEnvironment({
      http: async ({ url }) => {
        urls.push(url);
        return { status: 200, body: {} };
      },
    });
    await Promise.all(parts.map((part) => healthOf(environment, part)));
    expect(urls).toEqual([7220, 7130, 7131, 7140].map((port) => `http://127.0.0.1:${port}/health`));
    expect(await healthOf(fakeEnvironment(), p1)).toBeUndefined();
    expect(await healthOf(fakeEnvironment(), node)).toMatchObject({ ok: true });
  });

  it('is what it was when one answer does not come, and unknown when two do not', () => {
    const well = { ok: true, working: true, message: 'ok', counted: undefined, lag: undefined };
    const seen: ReturnType<typeof afterLook>[] = [];
    for (const answer of [undefined, well, undefined, well, undefined, undefined])
      seen.push(afterLook(seen.at(-1), 4711, answer));
    expect(seen.map(({ health, answered }) => [health?.message, answered])).toEqual([
      [undefined, false],
      ['ok', true],
      ['ok', true],
      ['ok', true],
      ['ok', true],
      [undefined, true],
    ]);
    expect(afterLook(seen[1], 4712, undefined)).toMatchObject({ health: undefined, answered: false });
  });

  it('in words', () => {
    const sight = sightOf(p1, {});
    expect(serviceState({ ...sight, pid: undefined })).toBe('down');
    expect(serviceState({ ...sight, health: undefined, answered: false })).toBe(
      'starting, or does not answer',
    );
    expect(serviceState({ ...sight, health: undefined })).toBe('does not answer');
    expect(serviceState(sight)).toBe('ok');
  });
});

function sightOf(part: Part, figures: { lag?: number; eventsPerSecond?: number }): ServiceSight {
  const { lag, eventsPerSecond } = figures;
  const health = { ok: true, working: true, message: 'ok', counted: undefined, lag };
  return { part, pid: 4711, health, answered: true, eventsPerSecond };
}

describe('the table of services', () => {
  const sights = parts.map((part) =>
    sightOf(part, part.kind === 'processing' ? { lag: 12_345, eventsPerSecond: 50_000.4 } : {}),
  );

  it('shows rate and lag', () => {
    expect(servicesTable(sights)).toMatch(
      /^● +p1 \(processing\) +127\.0\.0\.1:7130 +4711 +50,000 +12,345 +ok$/m,
    );
    expect(servicesTable(sights)).toMatch(/^● +log +127\.0\.0\.1:7120 +4711 +ok$/m);
  });

  it.each([200, 80, 60, 40, 10])('of %i columns wraps nowhere', (width) => {
    const lines = fittedServices(sights, width).split('\n');
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line.length).toBeLessThan(width);
  });

  it('is nothing without services', () => {
    expect(fittedServices([], 80)).toBe('');
  });
});

describe('status', () => {
  const http = async ({ url }: { url: string }) => {
    if (url.includes('7220')) throw refused();
    return { status: 200, body: { message: 'well', lag: url.includes('7130') ? 1_234 : undefined } };
  };
  const nodes = { '127.0.0.1:7101': { report: async () => report(['n1', 'n2', 'n3']) } };

  it('tells of the services behind the nodes', async () => {
    const environment = fakeEnvironment({ nodes, http });
    expect(await run(['status'], environment)).toBe(0);
    const { text } = environment.stdout;
    expect(text).toMatch(/^D +log +log +127\.0\.0\.1:7120 +does not answer$/m);
    expect(text).toMatch(/^U +p1 +processing +127\.0\.0\.1:7130 +1,234 +well$/m);
    expect(text).toMatch(/^U +query +query +127\.0\.0\.1:7140 +well$/m);
  });

  it('tells nothing of them when other nodes are asked', async () => {
    const environment = fakeEnvironment({ nodes, http });
    expect(await run(['status', '--contact', '127.0.0.1:7101', '--json'], environment)).toBe(0);
    expect(JSON.parse(environment.stdout.text).services).toEqual([]);
  });
});

it('three curl lines and a page, or none', () => {
  const text = curlLines(parts);
  expect(text.match(/^ {2}curl -s /gm)).toHaveLength(3);
  expect(text).toContain('http://127.0.0.1:7140/#videoId=cats.mp4&eventType=watch_ms ');
  const [, body] = /-d '(.*)'/.exec(text)!;
  expect(JSON.parse(body!).events).toHaveLength(2);
  expect(curlLines([])).toBe('');
});

it('ports that somebody listens on are named before anything is started', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await expect(checkPortsFree([{ ...p1, port, healthPort: port }])).rejects.toThrow(
      `127.0.0.1:${port} (p1) is in use already: stop what listens there`,
    );
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  await checkPortsFree([{ ...p1, port, healthPort: 0 }]);
});
