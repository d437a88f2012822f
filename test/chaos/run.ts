import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from '../../proto/entry.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import { checkReplicasEqual } from '../simulation/checkers/replicas-equal.js';
import type { Violation } from '../simulation/checkers/violation.js';
import type { History } from '../simulation/history.js';
import { SeededRandom } from '../simulation/seeded-random.js';
import { judge } from './checking.js';
import { Clients } from './clients.js';
import type { Fault } from './faults/fault.js';
import { mergeHistories } from './history-files.js';
import type { Links } from './links.js';
import { Nemesis } from './nemesis.js';
import { NodeLogs } from './node-logs.js';
import type { Nodes } from './nodes.js';
import { replicaContents } from './replica-contents.js';
import { finalReport, progressLine } from './report.js';

/** After the faults were undone all replicas must be equal within this. */
export const EQUAL_BOUND_MS = 120_000;
const POLL_MS = 500;
const TELL_EVERY_MS = 5_000;
const KEYS = 32;
/** The history of a run, over all clients: some 150 bytes of file and 300 of memory each. */
const MAX_OPERATIONS = 2_000_000;
const ROLES = {
  sdk: { processes: 3, operationsPerSecond: 250 },
  plain: { processes: 2, operationsPerSecond: 100 },
  reader: { processes: 2, operationsPerSecond: 120 },
};
const PROCESSES = ROLES.sdk.processes + ROLES.plain.processes + ROLES.reader.processes;

export interface RunOptions {
  seed: string;
  seconds: number;
  /** Of this run alone: histories, log, what faults keep aside. */
  folder: string;
  nodes: Nodes;
  links: Links | undefined;
  faults: readonly Fault[];
  /** Faults that were asked for and cannot be had here, with the reason. */
  lacking: readonly string[];
  say(line: string): void;
  /** Ends the faults early. */
  interrupted: Promise<void>;
}

export interface RunOutcome {
  failed: boolean;
  report: string;
}

/** One long run: clients count and read while faults strike; then all is undone, and all is checked. */
export async function chaosRun(options: RunOptions): Promise<RunOutcome> {
  const run = new Run(options);
  try {
    return await run.run();
  } finally {
    run.close();
  }
}

class Run {
  readonly #options: RunOptions;
  readonly #keyPrefix: string;
  readonly #clients: Clients;
  readonly #nemesis: Nemesis;
  readonly #log: ReturnType<typeof createWriteStream>;
  readonly #logs: NodeLogs;
  readonly #startMs = performance.now();
  #replicas = 3;

  constructor(options: RunOptions) {
    const { seed, folder, nodes, links, faults } = options;
    this.#options = options;
    const random = new SeededRandom(seed);
    const startNs = process.hrtime.bigint();
    this.#keyPrefix = `chaos-${seed}-${Date.now().toString(36)}-`;
    mkdirSync(join(folder, 'history'), { recursive: true });
    this.#logs = new NodeLogs(nodes.ids.map((id) => nodes.logFile(id)));
    this.#log = createWriteStream(join(folder, 'chaos.log'));
    this.#replicas = Object.values(nodes.config.replication).reduce((sum, n) => sum + n, 0);
    this.#clients = new Clients({
      folder: join(folder, 'history'),
      random: random.fork('clients'),
      startNs,
      roles: ROLES,
      shared: {
        addresses: Object.fromEntries(nodes.ids.map((id) => [id, nodes.addressOf(id)])),
        keyPrefix: this.#keyPrefix,
        keys: KEYS,
        growOnlyKeys: KEYS / 2,
        maxOperations: Math.floor(MAX_OPERATIONS / PROCESSES),
        writeLevels: this.#writeLevels(),
        readLevels: ['QUORUM', 'QUORUM', 'QUORUM', 'QUORUM', 'QUORUM', 'QUORUM', 'ONE', 'ALL'],
        startNs: String(startNs),
      },
    });
    this.#nemesis = new Nemesis({
      nodes,
      links,
      folder,
      faults,
      keyPrefix: this.#keyPrefix,
      clients: this.#clients,
      random: random.fork('nemesis'),
      say: (line) => this.#note(line),
    });
  }

  async run(): Promise<RunOutcome> {
    const { seconds, interrupted } = this.#options;
    this.#clients.startAll();
    const telling = setInterval(() => void this.#tell(), TELL_EVERY_MS);
    const striking = this.#nemesis.run();
    let timer: NodeJS.Timeout | undefined;
    const timeIsUp = new Promise((resolve) => {
      timer = setTimeout(resolve, seconds * 1_000);
    });
    await Promise.race([interrupted, timeIsUp]);
    clearTimeout(timer);
    this.#note('the faults are over: everything is undone');
    this.#nemesis.heal();
    await striking;
    const healedMs = performance.now();
    // Clients end when all is acknowledged, which may need all nodes.
    const stopping = this.#clients.stop();
    const stores = await this.#untilEqual(healedMs, stopping);
    const equalAfterMs = stores.equal ? performance.now() - healedMs : undefined;
    clearInterval(telling);
    return this.#judge(stores.contents, equalAfterMs);
  }

  close(): void {
    this.#clients.killAll();
    this.#log.end();
  }

  /**
   * What one replica alone acknowledged may go with its store (a stated limit), so where stores get lost
   * nothing is written at a level that one replica can meet.
   */
  #writeLevels(): ConsistencyLevel[] {
    const safe: ConsistencyLevel[] = ['QUORUM', 'QUORUM', 'QUORUM', 'QUORUM', 'ALL'];
    return this.#options.faults.some(({ losesStore }) => losesStore) ? safe : [...safe, 'ONE'];
  }

  /** Polls until the clients have ended, every node is whole and all replicas are equal, or the bound passed. */
  async #untilEqual(healedMs: number, stopping: Promise<void>) {
    const { nodes } = this.#options;
    let stopped = false;
    void stopping.then(() => {
      stopped = true;
    });
    let contents: Map<string, Entry[]> | undefined;
    while (performance.now() < healedMs + EQUAL_BOUND_MS) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      await this.#nemesis.operate();
      if (!stopped || !(await nodes.allWhole())) continue;
      contents = await replicaContents(nodes, this.#keyPrefix).catch(() => undefined);
      if (contents !== undefined && checkReplicasEqual(contents, this.#replicas).length === 0)
        return { equal: true, contents };
    }
    await stopping;
    const detail = await nodes.describe();
    if (!(await nodes.allWhole())) this.#nemesis.violated({ check: 'every node is normal again', detail });
    contents = await replicaContents(nodes, this.#keyPrefix).catch(() => contents);
    return { equal: false, contents };
  }

  async #judge(
    stores: Map<string, Entry[]> | undefined,
    equalAfterMs: number | undefined,
  ): Promise<RunOutcome> {
    const { nodes, lacking } = this.#options;
    const history = await mergeHistories(this.#clients.runs);
    const verdicts = judge({
      history,
      stores,
      rollups: nodes.config.rollups,
      replicas: this.#replicas,
      survivors: this.#nemesis.survivors,
      seen: [...this.#nemesis.violations, ...this.#failedClients(), ...this.#bugsInLogs()],
    });
    const report = finalReport({
      struck: this.#nemesis.struck,
      lacking,
      tally: this.#clients.tally(),
      lost: lostOf(history),
      clientsKilled: this.#clients.runs.filter(({ killedAtNs }) => killedAtNs !== undefined).length,
      equalAfterMs,
      equalBoundMs: EQUAL_BOUND_MS,
      verdicts,
      foundBad: this.#countInLogs('bad record: '),
    });
    this.#log.write(`${report}\n`);
    const failed = equalAfterMs === undefined || verdicts.some(({ violations }) => violations.length > 0);
    return { failed, report };
  }

  #failedClients(): Violation[] {
    return this.#clients.runs
      .filter(({ failed }) => failed !== undefined)
      .map(({ name, failed }) => ({ check: 'client processes end in order', detail: `${name} ${failed}` }));
  }

  #bugsInLogs(): Violation[] {
    const times = this.#countInLogs('two shards of one producer and sequence differ');
    return times === 0
      ? []
      : [{ check: 'single writer', detail: `${times} log lines of nodes say that it broke` }];
  }

  #countInLogs(text: string): number {
    const { nodes } = this.#options;
    return nodes.ids.reduce((times, id) => times + this.#logs.count(nodes.logFile(id), text), 0);
  }

  #note(line: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    this.#log.write(`${seconds} s ${line}\n`);
  }

  async #tell(): Promise<void> {
    const { nodes, say } = this.#options;
    const whole = await Promise.all(nodes.ids.map((id) => nodes.isWhole(id)));
    const up = `${whole.filter(Boolean).length}/${nodes.ids.length}`;
    const seconds = (performance.now() - this.#startMs) / 1_000;
    say(progressLine(seconds, { tally: this.#clients.tally(), struck: this.#nemesis.struck, up }));
  }
}

function lostOf({ increments }: History): number {
  return increments.filter(({ outcome }) => outcome === 'lost').length;
}
