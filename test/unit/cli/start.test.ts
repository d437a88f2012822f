import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandLine, quoted } from '../../../cli/command-line.js';
import { type LocalCluster, type Sight, stateOf } from '../../../cli/node-processes.js';
import { isAcquainted } from '../../../cli/readiness.js';
import { commandName } from '../../../cli/real-environment.js';
import { fittedTable, rowsTaken } from '../../../cli/status-table.js';
import { whatToTry } from '../../../cli/what-to-try.js';
import { loadClusterConfig } from '../../../node/config-file.js';
import type { NodeReport } from '../../../proto/calls.js';
import { fakeEnvironment, report } from './fake-environment.js';

const config = loadClusterConfig('cluster.yml');
const IDS = ['n1', 'n2', 'n3'];

/** What the node says of itself, and what it knows of all. */
function reportOf(nodeId: string, change: (report: NodeReport) => void = () => {}): NodeReport {
  const all = { ...report(IDS), nodeId, storeId: `store-of-${nodeId}` };
  change(all);
  return all;
}

function sightsOf(reports: readonly (NodeReport | undefined)[]): Sight[] {
  return config.nodes.map((node, i) => ({ node, pid: 100 + i, report: reports[i], answered: true }));
}

describe('isAcquainted', () => {
  const whole = IDS.map((nodeId) => reportOf(nodeId));

  it('holds when each knows status and store of each', () => {
    expect(isAcquainted(sightsOf(whole))).toBe(true);
  });

  const gaps: [name: string, change: (report: NodeReport) => void][] = [
    ['a store', ({ endpoints }) => delete endpoints[2]!.facts.storeId],
    ['a status', ({ endpoints }) => delete endpoints[2]!.facts.status],
    [
      'the present status',
      ({ endpoints }) => {
        endpoints[2]!.facts.status = 'shutdown';
      },
    ],
    [
      'that one is up',
      ({ endpoints }) => {
        endpoints[2]!.up = false;
      },
    ],
    ['one at all', ({ endpoints }) => endpoints.pop()],
  ];
  it.each(gaps)('does not when one lacks %s', (_name, change) => {
    const sights = sightsOf([whole[0], reportOf('n2', change), whole[2]]);
    expect(isAcquainted(sights)).toBe(false);
    expect(isAcquainted(sights, 'n3')).toBe(false);
    expect(isAcquainted(sights, 'n1')).toBe(true);
  });

  it('asks nothing of nodes that do not answer', () => {
    expect(isAcquainted(sightsOf([whole[0], undefined, whole[2]]))).toBe(true);
  });
});

it('a process that answered before is not starting', () => {
  const [sight] = sightsOf([undefined]);
  expect(stateOf(sight!)).toBe('does not answer');
  expect(stateOf({ ...sight!, answered: false })).toBe('starting, or does not answer');
  expect(stateOf({ ...sight!, pid: undefined })).toBe('down');
});

describe('the live table', () => {
  const sights = sightsOf(IDS.map((nodeId) => reportOf(nodeId)));

  it.each([200, 100, 80, 60, 40, 20, 5])('of %i columns wraps nowhere', (width) => {
    const text = fittedTable(sights, width);
    expect(text.split('\n')).toHaveLength(5);
    for (const line of text.split('\n')) expect(line.length).toBeLessThan(width);
    expect(rowsTaken(text, width)).toBe(4);
  });

  it('goes without columns rather than cut them', () => {
    expect(fittedTable(sights, 200)).toMatch(
      /^ +node +address +pid +state +entries +memory +hints +up for\n/,
    );
    expect(fittedTable(sights, 60)).toMatch(/^ +node +address +pid +state +entries +hints\n/);
  });

  it('takes more rows once the terminal is narrower', () => {
    expect(rowsTaken(`${'x'.repeat(70)}\n\n${'x'.repeat(60)}\n`, 60)).toBe(4);
    expect(rowsTaken('', 60)).toBe(0);
  });
});

describe('what to try', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tallyring-start-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const cluster = (long = 'n3'): LocalCluster => ({
    environment: fakeEnvironment({ cwd: folder }),
    config: { ...config, nodes: [{ ...config.nodes[0]!, id: long }] },
    services: [],
    configPath: 'cluster.yml',
    data: folder,
  });

  it('names the sample only where it is', () => {
    expect(whatToTry(cluster(), {}, ['n3'])).toMatch(/^ {2}tallyring import FILE +count the events of a/m);
    mkdirSync(join(folder, 'test', 'data'), { recursive: true });
    writeFileSync(join(folder, 'test', 'data', 'changes.jsonl.gz'), '');
    expect(whatToTry(cluster(), {}, ['n3'])).toMatch(
      /^ {2}tallyring import test\/data\/changes\.jsonl\.gz +count 57,820/m,
    );
  });

  it('is aligned whatever the id, and means the same cluster', () => {
    const id = 'a-node-with-a-rather-long-name';
    const text = whatToTry(cluster(id), { config: 'my cluster.yml', data: 'd' }, [id]);
    const lines = text.split('\n').filter((line) => line.startsWith('  '));
    const starts = lines.map((line) => line.search(/(?<= {2})\S(?!.* {2}\S)/));
    expect(new Set(starts.slice(0, 5)).size).toBe(1);
    expect(text).toContain(`tallyring cluster kill ${id} --config 'my cluster.yml' --data d  kill a node`);
    expect(text).toMatch(/inc my-video view --by 5 --config 'my cluster\.yml' +count one event of value 5/);
    expect(text).toContain('Ctrl-C stops it all.');
    expect(whatToTry(cluster(), {}, [])).toContain('Ctrl-C here only leaves.');
  });
});

describe('how the command is called', () => {
  const script = '/p/bin/tallyring';
  const table: [cwd: string, called: string, searchPath: string, command: string][] = [
    ['/p', '/p/dist/cli/main.js', '/usr/bin', './bin/tallyring'],
    ['/p', script, '/usr/bin', './bin/tallyring'],
    ['/p/test', script, '/usr/bin', '../bin/tallyring'],
    ['/p/test', script, '/usr/bin:/p/bin', 'tallyring'],
    ['/home', '/usr/bin/tallyring', '/usr/bin', 'tallyring'],
  ];
  it.each(table)('in %s, called as %s with PATH=%s: %s', (cwd, called, searchPath, command) => {
    expect(commandName({ called, script, cwd, searchPath })).toBe(command);
  });

  it('words are quoted for the shell', () => {
    expect(["a b's", 'plain-1.yml', ''].map(quoted)).toEqual(["'a b'\\''s'", 'plain-1.yml', "''"]);
    expect(commandLine(fakeEnvironment(), ['status'], { config: 'x y' })).toBe(
      "tallyring status --config 'x y'",
    );
  });
});
