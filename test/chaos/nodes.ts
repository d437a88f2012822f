import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { addressOf } from '../../cli/contact.js';
import { claimPidFile, lastLines, livePid, nodeFolder } from '../../cli/state-folder.js';
import { connectOperator } from '../../client/transport/grpc.js';
import type { ClusterConfig } from '../../node/config.js';
import type { NodeReport } from '../../proto/calls.js';
import { PROJECT, waitUntil } from './drill-cluster.js';

const COMMAND = join(PROJECT, 'dist', 'cli', 'main.js');
const REPORT_MS = 1_000;
const GONE_BOUND_MS = 10_000;
const STOP_BOUND_MS = 30_000;
/** From the start of a process until it answers. */
const ANSWERS_BOUND_MS = 60_000;

export interface NodesOptions {
  /** As clients reach the nodes. */
  config: ClusterConfig;
  data: string;
  /** The configuration file that a node is started with. */
  configFileOf(nodeId: string): string;
  logFileOf(nodeId: string): string;
}

/** What became of a start. */
export type StartResult = 'answers' | { ended: string };

/** The node processes of a cluster of this machine, found by the pid files of their data folders. */
export class Nodes {
  readonly config: ClusterConfig;
  readonly ids: readonly string[];
  readonly data: string;
  readonly #options: NodesOptions;
  /** Those that were started here. */
  readonly #children = new Map<string, ChildProcess>();
  readonly #paused = new Set<string>();

  constructor(options: NodesOptions) {
    this.#options = options;
    this.config = options.config;
    this.data = options.data;
    this.ids = options.config.nodes.map(({ id }) => id);
  }

  folder(nodeId: string): string {
    return nodeFolder(this.data, nodeId);
  }

  logFile(nodeId: string): string {
    return this.#options.logFileOf(nodeId);
  }

  addressOf(nodeId: string): string {
    return addressOf(this.config.nodes.find(({ id }) => id === nodeId)!);
  }

  isAlive(nodeId: string): boolean {
    const child = this.#children.get(nodeId);
    // A starting node writes its pid file anew: for a moment there is none.
    if (child !== undefined) return child.exitCode === null && child.signalCode === null;
    return livePid(this.data, nodeId) !== undefined;
  }

  /** Starts the process and returns at once. */
  launch(nodeId: string, newCluster = false): void {
    mkdirSync(this.folder(nodeId), { recursive: true });
    const log = openSync(this.logFile(nodeId), 'a');
    const words = [
      COMMAND,
      'node',
      nodeId,
      '--config',
      this.#options.configFileOf(nodeId),
      '--data',
      this.data,
    ];
    if (newCluster) words.push('--new-cluster');
    const child = spawn(process.execPath, words, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: PROJECT,
    });
    child.on('error', () => undefined); // seen as one that ended
    // At once, so that a kill finds a node that is only starting.
    if (child.pid !== undefined) claimPidFile(this.data, nodeId, child.pid);
    child.unref();
    this.#children.set(nodeId, child);
    closeSync(log);
  }

  /** Starts the process and waits until it answers, in whatever state, or has ended. */
  async start(nodeId: string): Promise<StartResult> {
    let ended = false;
    this.launch(nodeId);
    await waitUntil(`${nodeId} answers or ends`, ANSWERS_BOUND_MS, async () => {
      ended = !this.isAlive(nodeId);
      return ended || (await this.report(nodeId)) !== undefined;
    });
    if (!ended) return 'answers';
    return { ended: this.lastWords(nodeId) };
  }

  /** The end of its log. */
  lastWords(nodeId: string): string {
    return lastLines(this.logFile(nodeId), 8).join('\n');
  }

  signal(nodeId: string, signal: NodeJS.Signals): boolean {
    const pid = this.#children.get(nodeId)?.pid ?? livePid(this.data, nodeId);
    if (pid === undefined || !this.isAlive(nodeId)) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false; // it has just ended
    }
  }

  async kill(nodeId: string): Promise<void> {
    this.signal(nodeId, 'SIGKILL');
    await this.#gone(nodeId, GONE_BOUND_MS);
    this.#paused.delete(nodeId);
  }

  /** Asks it to end. Throws when it does not within the bound. */
  async stop(nodeId: string): Promise<void> {
    this.resume(nodeId);
    this.signal(nodeId, 'SIGTERM');
    await this.#gone(nodeId, STOP_BOUND_MS);
  }

  pause(nodeId: string): void {
    if (this.signal(nodeId, 'SIGSTOP')) this.#paused.add(nodeId);
  }

  resume(nodeId: string): void {
    if (this.#paused.delete(nodeId)) this.signal(nodeId, 'SIGCONT');
  }

  /** What a node says of itself; undefined while it does not answer. */
  async report(nodeId: string): Promise<NodeReport | undefined> {
    if (!this.isAlive(nodeId) || this.#paused.has(nodeId)) return undefined;
    const operator = connectOperator(this.addressOf(nodeId));
    try {
      return await operator.report({ timeoutMs: REPORT_MS });
    } catch {
      return undefined;
    } finally {
      operator.close();
    }
  }

  /** Up, normal, and nothing known to be bad in its store. */
  async isWhole(nodeId: string): Promise<boolean> {
    const report = await this.report(nodeId);
    return report?.status === 'normal' && report.storeState === 'ok' && report.damagedRows === 0;
  }

  async allWhole(): Promise<boolean> {
    return (await Promise.all(this.ids.map((id) => this.isWhole(id)))).every(Boolean);
  }

  /** Every node in a few words, with what it waits for. */
  async describe(): Promise<string> {
    const each = this.ids.map(async (id) => {
      if (!this.isAlive(id)) return `${id} down`;
      const report = await this.report(id);
      if (report === undefined) return `${id} silent`;
      const { status, storeState, damagedRows, waitsFor } = report;
      const store = storeState === 'ok' ? '' : `, store ${storeState}`;
      const damaged = damagedRows === 0 ? '' : `, ${damagedRows} damaged rows`;
      return `${id} ${status}${store}${damaged}${waitsFor === '' ? '' : `, waits for ${waitsFor}`}`;
    });
    return (await Promise.all(each)).join('; ');
  }

  async #gone(nodeId: string, boundMs: number): Promise<void> {
    await waitUntil(`${nodeId} ends`, boundMs, async () => !this.isAlive(nodeId));
  }
}
