import { type ChildProcess, type ForkOptions, fork, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/**
 * The processes that a run started. All of them are killed when the run ends, however it ends: call `killAll` from
 * process.on('exit'), which Ctrl-C must reach too.
 */
export class ProcessGroup {
  private readonly children = new Set<ChildProcess>();
  private readonly cleanups = new Set<() => void>();

  add<T extends ChildProcess>(child: T): T {
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    return child;
  }

  /** Something to undo that is no child process. Must be synchronous. Returns what forgets it again. */
  onKill(cleanup: () => void): () => void {
    this.cleanups.add(cleanup);
    return () => this.cleanups.delete(cleanup);
  }

  /**
   * Starts a program in a session of its own, as `tallyring` launches its parts (cli/priority.ts tells what it
   * matters); what it prints goes to `logFile`.
   */
  spawnLogged(command: string, args: readonly string[], logFile: string): ChildProcess {
    const log = openSync(logFile, 'a');
    const child = this.add(spawn(command, args, { detached: true, stdio: ['ignore', log, log] }));
    closeSync(log);
    // Without a listener a missing program would end the run; waiters see that the process is gone.
    child.on('error', () => this.children.delete(child));
    return child;
  }

  /** Runs a module, in a session of its own too: callers do not share their part of the CPU with each other. */
  fork(file: string, options: ForkOptions): ChildProcess {
    return this.add(fork(file, [], { ...options, detached: true }));
  }

  killAll(): void {
    for (const child of this.children) child.kill('SIGKILL');
    for (const cleanup of this.cleanups) cleanup();
    this.children.clear();
    this.cleanups.clear();
  }
}

/** Ends a process: SIGTERM, then SIGKILL after `graceMs`. Resolves when it is gone. */
export async function stopProcess(child: ChildProcess, graceMs = 5_000): Promise<void> {
  if (hasEnded(child)) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** Asks until it is true, every 50 ms. Throws with `what` after `timeoutMs`. */
export async function waitUntil(
  what: string,
  timeoutMs: number,
  isTrue: () => Promise<boolean> | boolean,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The last lines of a log, for the message of a process that did not start. */
export function lastLines(logFile: string, lines = 8): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}

/** Resident memory in MiB as the kernel counts it now. Throws where there is no /proc. */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error(`process ${pid} has no VmRSS`);
  return Number(kib) / 1024;
}
