import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { SeededRandom } from '../simulation/seeded-random.js';
import { PROJECT } from './drill-cluster.js';
import type { WorkerMessage } from './workers/main.js';
import { emptyTally, type Tally } from './workers/records.js';
import type { WorkerRole, WorkerSetup } from './workers/setup.js';

/** A client process, or one that was. */
export interface ClientRun {
  name: string;
  role: WorkerRole;
  historyFile: string;
  tally: Tally;
  /** When it was killed, in ns since the run's start; undefined when it was not. */
  killedAtNs?: number;
  /** Ended by itself without having been told to, or with an error. */
  failed?: string;
}

interface Running extends ClientRun {
  child: ChildProcess;
  ended: Promise<void>;
}

export type SharedSetup = Omit<WorkerSetup, 'role' | 'name' | 'seed' | 'historyFile' | 'operationsPerSecond'>;

export interface ClientsOptions {
  folder: string;
  random: SeededRandom;
  startNs: bigint;
  /** How many of each role, and how much each of them does. */
  roles: Record<WorkerRole, { processes: number; operationsPerSecond: number }>;
  shared: SharedSetup;
}

const STOP_BOUND_MS = 120_000;
const WORKER = join(PROJECT, 'dist', 'test', 'chaos', 'workers', 'main.js');

/** The client processes of a run: starts them, kills one and starts another in its place, stops them all. */
export class Clients {
  /** All that ever ran. */
  readonly runs: ClientRun[] = [];
  readonly #options: ClientsOptions;
  readonly #running = new Set<Running>();
  #started = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  startAll(): void {
    for (const [role, { processes }] of Object.entries(this.#options.roles))
      for (let i = 0; i < processes; i++) this.#start(role as WorkerRole);
  }

  /** SIGKILL to one of them; another one, which knows nothing of it, takes its place. */
  async killOne(): Promise<string> {
    const victim = this.#options.random.pick([...this.#running]);
    this.#running.delete(victim);
    victim.child.kill('SIGKILL');
    await victim.ended;
    victim.killedAtNs = Number(process.hrtime.bigint() - this.#options.startNs);
    this.#start(victim.role);
    return victim.name;
  }

  /** No new operations; waits until all that began have ended. */
  async stop(): Promise<void> {
    const running = [...this.#running];
    for (const { child } of running) if (child.connected) child.send('stop');
    const late = setTimeout(() => {
      for (const client of running) {
        if (client.child.exitCode !== null) continue;
        client.failed = `did not end within ${STOP_BOUND_MS / 1_000} s of being told to`;
        client.child.kill('SIGKILL');
      }
    }, STOP_BOUND_MS);
    await Promise.all(running.map(({ ended }) => ended));
    clearTimeout(late);
    this.#running.clear();
  }

  /** For an end in disorder. */
  killAll(): void {
    for (const { child } of this.#running) child.kill('SIGKILL');
  }

  tally(): Tally {
    const sum = emptyTally();
    for (const { tally } of this.runs) {
      for (const name of ['acknowledged', 'notApplied', 'inDoubt', 'reads', 'failedReads'] as const)
        sum[name] += tally[name];
      for (const [code, count] of Object.entries(tally.errors))
        sum.errors[code] = (sum.errors[code] ?? 0) + count;
    }
    return sum;
  }

  #start(role: WorkerRole): void {
    const { folder, random, roles, shared } = this.#options;
    const name = `${role}-${++this.#started}`;
    const historyFile = join(folder, `${name}.jsonl`);
    const { operationsPerSecond } = roles[role];
    const seed = random.bytes(8).toString('hex');
    const setup: WorkerSetup = { ...shared, role, name, seed, historyFile, operationsPerSecond };
    const child = fork(WORKER, [JSON.stringify(setup)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    const running: Running = {
      name,
      role,
      historyFile,
      tally: emptyTally(),
      child,
      ended: Promise.resolve(),
    };
    let stderr = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      stderr = `${stderr}${chunk}`.slice(-2_000);
    });
    child.on('message', ({ tally }: WorkerMessage) => {
      running.tally = tally;
    });
    running.ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        if (signal !== 'SIGKILL' && code !== 0) running.failed = `ended with ${code ?? signal}: ${stderr}`;
        resolve();
      });
    });
    this.#running.add(running);
    this.runs.push(running);
  }
}
