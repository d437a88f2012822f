import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandResult, collect, PROJECT, waitUntil } from '../chaos/drill-cluster.js';

const COMMAND = join(PROJECT, 'dist', 'cli', 'main.js');
const GONE_BOUND_MS = 10_000;

/** The processes of one drill, by name: all that was started here is killed in the end, whatever happens. */
export class Processes {
  readonly #children = new Map<string, ChildProcess>();
  readonly #paused = new Set<string>();
  readonly #killAll = () => this.#signalAll();

  constructor() {
    process.on('exit', this.#killAll);
  }

  /** Starts `tallyring …` and returns at once; what it says goes to a file. */
  launch(name: string, words: readonly string[], logFile: string): void {
    if (this.isAlive(name)) throw new Error(`${name} runs already`);
    const log = openSync(logFile, 'a');
    const child = spawn(process.execPath, [COMMAND, ...words], {
      cwd: PROJECT,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', () => undefined); // seen as one that ended
    this.#children.set(name, child);
  }

  /** Runs a verb to its end, unless it is killed by its name before. */
  run(name: string, words: readonly string[]): Promise<CommandResult> {
    const child = spawn(process.execPath, [COMMAND, ...words], { cwd: PROJECT });
    this.#children.set(name, child);
    return collect(child);
  }

  isAlive(name: string): boolean {
    const child = this.#children.get(name);
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  isPaused(name: string): boolean {
    return this.#paused.has(name);
  }

  async kill(name: string): Promise<void> {
    this.#paused.delete(name);
    if (this.isAlive(name)) this.#children.get(name)!.kill('SIGKILL');
    await waitUntil(`${name} ends`, GONE_BOUND_MS, async () => !this.isAlive(name));
  }

  pause(name: string): void {
    if (this.#children.get(name)?.kill('SIGSTOP') === true) this.#paused.add(name);
  }

  resume(name: string): void {
    if (this.#paused.delete(name)) this.#children.get(name)?.kill('SIGCONT');
  }

  /** Resident memory in MiB, as the system tells it; undefined where it does not, or when it is gone. */
  memoryMiB(name: string): number | undefined {
    const file = `/proc/${this.#children.get(name)?.pid}/status`;
    if (!this.isAlive(name) || !existsSync(file)) return undefined;
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(file, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1_024;
  }

  async close(): Promise<void> {
    this.#signalAll();
    const names = [...this.#children.keys()];
    await waitUntil(
      'all processes end',
      GONE_BOUND_MS,
      async () => !names.some((name) => this.isAlive(name)),
    );
    process.off('exit', this.#killAll);
  }

  #signalAll(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }
}
