import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clusterDown } from '../../../cli/cluster.js';
import { clusterKill } from '../../../cli/cluster-part.js';
import { readableLogLine } from '../../../cli/readiness.js';
import {
  claimPidFile,
  hasData,
  hold,
  isHeld,
  isPartCommand,
  lastLines,
  livePid,
  type ProcessTable,
  releasePidFile,
  systemProcesses,
  unhold,
} from '../../../cli/state-folder.js';
import { fakeEnvironment } from './fake-environment.js';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'tallyring-state-'));
});
afterEach(() => {
  rmSync(data, { recursive: true });
});

interface FakeProcess {
  command: string[] | undefined;
  start: string | undefined;
}
const N1: FakeProcess = {
  command: ['node', '/x/dist/cli/main.js', 'node', 'n1', '--config', 'c'],
  start: '100',
};

function processesOf(table: Record<number, FakeProcess>): ProcessTable {
  return {
    isAlive: (pid) => table[pid] !== undefined,
    commandOf: (pid) => table[pid]?.command,
    startOf: (pid) => table[pid]?.start,
  };
}

describe('pid files', () => {
  it('a claimed pid is the live node', () => {
    const processes = processesOf({ 42: N1 });
    claimPidFile(data, 'n1', 42, processes);
    expect(readFileSync(join(data, 'n1', 'pid'), 'utf8')).toBe('42\n');
    expect(livePid(data, 'n1', processes)).toBe(42);
  });

  const strangers: [name: string, now: FakeProcess | undefined][] = [
    ['a process that is gone', undefined],
    ['another program', { command: ['vim', 'notes'], start: '100' }],
    ['another node', { ...N1, command: ['node', '/x/dist/cli/main.js', 'node', 'n2'] }],
    ['the same command, started later', { ...N1, start: '999' }],
    ['a process whose command is unknown', { ...N1, command: undefined }],
    ['a program with the node as an argument', { ...N1, command: ['grep', 'node', 'n1'] }],
  ];
  it.each(strangers)('the pid is not taken for the node when it is now %s', (_name, now) => {
    claimPidFile(data, 'n1', 42, processesOf({ 42: N1 }));
    expect(livePid(data, 'n1', processesOf(now === undefined ? {} : { 42: now }))).toBeUndefined();
  });

  it.each(['', 'x', '0', '1', '-7', '4.2'])('a pid file of %j means nobody', (text) => {
    mkdirSync(join(data, 'n1'));
    writeFileSync(join(data, 'n1', 'pid'), text);
    const anybody: ProcessTable = {
      isAlive: () => true,
      commandOf: () => N1.command,
      startOf: () => undefined,
    };
    expect(livePid(data, 'n1', anybody)).toBeUndefined();
  });

  it('a second process is refused while the first lives, and takes over when it is gone', () => {
    const both = processesOf({ 42: N1, 43: { ...N1, start: '200' } });
    claimPidFile(data, 'n1', 42, both);
    expect(() => claimPidFile(data, 'n1', 43, both)).toThrow(/n1 already runs as process 42/);
    claimPidFile(data, 'n1', 43, processesOf({ 43: { ...N1, start: '200' } }));
    expect(livePid(data, 'n1', both)).toBe(43);
  });

  it('only its owner takes the file away', () => {
    claimPidFile(data, 'n1', 42, processesOf({ 42: N1 }));
    releasePidFile(data, 'n1', 41);
    expect(existsSync(join(data, 'n1', 'pid'))).toBe(true);
    releasePidFile(data, 'n1', 42);
    expect(existsSync(join(data, 'n1', 'pid'))).toBe(false);
  });

  it('the system tells of this very process', () => {
    expect(systemProcesses.isAlive(process.pid)).toBe(true);
    expect(systemProcesses.commandOf(process.pid)?.[0]).toContain('node');
    expect(systemProcesses.isAlive(2 ** 30)).toBe(false);
  });

  it('kill and down leave a process alone that is not the node', async () => {
    mkdirSync(join(data, 'n1'));
    // This test's own process: it would die if the check failed.
    writeFileSync(join(data, 'n1', 'pid'), String(process.pid));
    const environment = fakeEnvironment();
    expect(await clusterKill(environment, 'n1', { data, signal: '9' })).toBe(3);
    expect(environment.stdout.text).toContain('n1 does not run; start it with tallyring cluster start n1');
    expect(await clusterDown(environment, { data })).toBe(0);
    expect(environment.stdout.text).toContain('no node or service of');
  });
});

it.each([
  ['node /p/dist/cli/main.js node n1 --config c', true],
  ['node ./bin/tallyring node n1', true],
  ['node --max-old-space-size=200 dist/cli/main.js node n1', true],
  ['node dist/cli/main.js node n10', false],
  ['node dist/cli/main.js cluster kill n1', false],
  ['tail -f node n1', false],
  ['node n1', false],
])('isPartCommand(%s)', (command, expected) => {
  expect(isPartCommand(command.split(' '), 'n1')).toBe(expected);
});

it.each([
  ['node /p/dist/cli/main.js log --config c', 'log', true],
  ['node ./bin/tallyring query', 'query', true],
  ['node dist/cli/main.js query', 'log', false],
  ['node dist/cli/main.js processing --name p1', 'p1', true],
  ['node dist/cli/main.js processing', 'p1', true],
  ['node dist/cli/main.js cluster kill log', 'log', false],
  ['tail -f log', 'log', false],
])('isPartCommand(%s) of %s', (command, id, expected) => {
  expect(isPartCommand(command.split(' '), id)).toBe(expected);
});

it('who is held stays so until it is started', () => {
  hold(join(data, 'none'), 'n1');
  expect(isHeld(join(data, 'none'), 'n1')).toBe(false);
  hold(data, 'n1');
  expect(isHeld(data, 'n1')).toBe(true);
  expect(isHeld(data, 'n10')).toBe(false);
  expect(hasData(data, 'n1')).toBe(false);
  unhold(data, 'n1');
  expect(isHeld(data, 'n1')).toBe(false);
});

it('a folder with a log and a pid alone has no data', () => {
  expect(hasData(data, 'n1')).toBe(false);
  mkdirSync(join(data, 'n1'));
  for (const name of ['log', 'pid', 'pid.start']) writeFileSync(join(data, 'n1', name), '');
  expect(hasData(data, 'n1')).toBe(false);
  mkdirSync(join(data, 'n1', 'store'));
  expect(hasData(data, 'n1')).toBe(true);
});

it('last lines of a log, readable', () => {
  const path = join(data, 'log');
  writeFileSync(
    path,
    `${'x'.repeat(100_000)}\nfirst\n{"level":50,"msg":"cannot open","err":{"message":"locked"}}\n`,
  );
  expect(lastLines(path, 2).map(readableLogLine)).toEqual(['first', 'cannot open: locked']);
  expect(lastLines(join(data, 'none'), 2)).toEqual([]);
});
