import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TallyringError } from '../proto/errors.js';

/**
 * The state folder: <data>/NODEID holds a node's store, its log and its pid file, and <data>/NAME those of a
 * service. `pid` is the number alone, as everybody expects; `pid.start` is when that process started, so that a
 * number the system gave to another process later is never taken for the node. <data>/NODEID.held says that
 * somebody stopped it and means it to stay so.
 */

/** Files that do not make a folder one that has data. */
const NOT_DATA = new Set(['pid', 'pid.start', 'log']);

export function nodeFolder(data: string, nodeId: string): string {
  return join(data, nodeId);
}

export function logPath(data: string, nodeId: string): string {
  return join(nodeFolder(data, nodeId), 'log');
}

function hasStore(data: string, nodeId: string): boolean {
  const folder = nodeFolder(data, nodeId);
  return existsSync(folder) && readdirSync(folder).some((name) => !NOT_DATA.has(name));
}

/** Whether the node ever had a store here: one that was set aside counts. */
export function hasData(data: string, nodeId: string): boolean {
  return hasStore(data, nodeId) || asideNumbers(data, nodeId).length > 0;
}

/** A dot is in no node's id, so that no folder of another node is ever taken for one. */
function asideNumbers(data: string, nodeId: string): number[] {
  if (!existsSync(data)) return [];
  const start = `${nodeId}.aside-`;
  const names = readdirSync(data).filter((name) => name.startsWith(start));
  return names.map((name) => Number(name.slice(start.length))).filter(Number.isInteger);
}

/** The folder that holds the store that was set aside last. */
export function lastAside(data: string, nodeId: string): string | undefined {
  const numbers = asideNumbers(data, nodeId);
  return numbers.length === 0 ? undefined : join(data, `${nodeId}.aside-${Math.max(...numbers)}`);
}

/**
 * Moves the folder of a node that does not run, store, identity and log, to one beside it, in one step. Gives
 * its path; undefined when there is no store to move.
 */
export function setAside(data: string, nodeId: string): string | undefined {
  if (!hasStore(data, nodeId)) return undefined;
  const aside = join(data, `${nodeId}.aside-${Math.max(0, ...asideNumbers(data, nodeId)) + 1}`);
  renameSync(nodeFolder(data, nodeId), aside);
  return aside;
}

/** What the system says of a process; a test puts its own in place. */
export interface ProcessTable {
  /** Exists and is no zombie. */
  isAlive(pid: number): boolean;
  /** Its command line, words apart; `undefined` when unknown. */
  commandOf(pid: number): string[] | undefined;
  /** Something that differs between two processes of one pid; `undefined` where the system does not tell. */
  startOf(pid: number): string | undefined;
}

/** What Linux tells of a process in /proc/PID/stat, from its state on; undefined where there is no such file. */
export function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold spaces: fields are counted from behind it (state is the first).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

export const systemProcesses: ProcessTable = {
  isAlive(pid) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
    return statFields(pid)?.[0] !== 'Z';
  },
  commandOf(pid) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    } catch {
      // No /proc: ask ps, which is everywhere else.
    }
    try {
      const text = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      return text.trim().split(/\s+/);
    } catch {
      return undefined;
    }
  },
  startOf: (pid) => statFields(pid)?.[19],
};

/**
 * Whether a command line is that of a part: `tallyring node NODEID`, `tallyring log` or `query` for the parts of
 * these names, and `tallyring processing`, which need not name its instance, for any other.
 */
export function isPartCommand(words: readonly string[], id: string): boolean {
  return words.some((word, i) => {
    if (i === 0 || !/(main\.js|main\.ts|tallyring)$/.test(words[i - 1]!)) return false;
    if (word === 'node') return words[i + 1] === id;
    return word === 'processing' || ((word === 'log' || word === 'query') && word === id);
  });
}

/** The pid of the node's live process, verified to be that; `undefined` when it does not run. */
export function livePid(
  data: string,
  nodeId: string,
  processes: ProcessTable = systemProcesses,
): number | undefined {
  const folder = nodeFolder(data, nodeId);
  const pid = Number(readText(join(folder, 'pid')));
  if (!Number.isSafeInteger(pid) || pid <= 1 || !processes.isAlive(pid)) return undefined;
  const start = processes.startOf(pid);
  const expected = readText(join(folder, 'pid.start'));
  if (start !== undefined && expected !== '' && start !== expected) return undefined;
  const command = processes.commandOf(pid);
  return command !== undefined && isPartCommand(command, nodeId) ? pid : undefined;
}

function heldPath(data: string, nodeId: string): string {
  // Beside the folder: a rebuild moves that one away.
  return join(data, `${nodeId}.held`);
}

/** Notes that this one is stopped on purpose: whoever runs the whole does not start it again. */
export function hold(data: string, nodeId: string): void {
  if (existsSync(data)) writeFileSync(heldPath(data, nodeId), '');
}

export function unhold(data: string, nodeId: string): void {
  rmSync(heldPath(data, nodeId), { force: true });
}

export function isHeld(data: string, nodeId: string): boolean {
  return existsSync(heldPath(data, nodeId));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Declares `pid` the node's process. Throws FAILED_PRECONDITION when another one lives. */
export function claimPidFile(
  data: string,
  nodeId: string,
  pid: number,
  processes: ProcessTable = systemProcesses,
): void {
  const folder = nodeFolder(data, nodeId);
  mkdirSync(folder, { recursive: true });
  const living = livePid(data, nodeId, processes);
  if (living !== undefined && living !== pid) throw alreadyRuns(nodeId, living, data);
  rmSync(join(folder, 'pid'), { force: true });
  writeFileSync(join(folder, 'pid.start'), processes.startOf(pid) ?? '');
  try {
    writeFileSync(join(folder, 'pid'), `${pid}\n`, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // The launcher and the process itself may both declare it.
    const other = Number(readText(join(folder, 'pid')));
    if (other !== pid) throw alreadyRuns(nodeId, other, data);
  }
}

function alreadyRuns(nodeId: string, pid: number, data: string): TallyringError {
  return new TallyringError(
    'FAILED_PRECONDITION',
    `${nodeId} already runs as process ${pid} on ${nodeFolder(data, nodeId)}; stop it with tallyring cluster kill ${nodeId}, \
or give this one another --data folder`,
  );
}

/** Takes the pid file away, if it is still this process's. */
export function releasePidFile(data: string, nodeId: string, pid: number): void {
  const folder = nodeFolder(data, nodeId);
  if (Number(readText(join(folder, 'pid'))) !== pid) return;
  rmSync(join(folder, 'pid'), { force: true });
  rmSync(join(folder, 'pid.start'), { force: true });
}

/** The last lines of what a file holds from byte `from` on; at most 64 KiB of it. */
export function lastLines(path: string, count: number, from = 0): string[] {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(file);
    const length = Math.min(Math.max(0, size - from), 64 * 1024);
    const buffer = Buffer.alloc(length);
    readSync(file, buffer, 0, length, size - length);
    return buffer.toString().trimEnd().split('\n').slice(-count);
  } finally {
    closeSync(file);
  }
}
