import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessingHealth } from '../../services/processing/health.js';
import { type CommandResult, waitUntil } from '../chaos/drill-cluster.js';
import { getJson, getText } from './http.js';
import type { DrillLog, LogKind } from './logs/drill-log.js';
import { embeddedLog } from './logs/embedded.js';
import { kafkaLog } from './logs/kafka.js';
import { type PipelinePorts, type PipelineSettings, pipelineConfig } from './pipeline-config.js';
import { freePorts } from './ports.js';
import { Processes } from './processes.js';

const UP_BOUND_MS = 60_000;

export interface PipelineOptions {
  instances: number;
  log: LogKind;
  settings?: PipelineSettings | undefined;
}

/** The whole pipeline as processes of a drill's own: three nodes, a log, processing instances, the query service. */
export class Pipeline {
  readonly folder: string;
  readonly nodes = ['n1', 'n2', 'n3'];
  readonly instances: string[];
  readonly processes = new Processes();
  readonly ports: PipelinePorts;
  readonly log: DrillLog;
  readonly #settings: PipelineSettings;

  static async make(options: PipelineOptions): Promise<Pipeline> {
    const ports = await freePorts(9 + options.instances + 1);
    return new Pipeline(options, {
      nodes: ports.slice(0, 3),
      nodeMetrics: ports.slice(3, 6),
      log: ports[6]!,
      logMetrics: ports[7]!,
      query: ports[8]!,
      instances: ports.slice(9, 9 + options.instances),
    });
  }

  private constructor(options: PipelineOptions, ports: PipelinePorts) {
    this.folder = mkdtempSync(join(tmpdir(), 'tallyring-pipeline-'));
    this.ports = ports;
    this.instances = Array.from({ length: options.instances }, (_, i) => `p${i + 1}`);
    this.#settings = options.settings ?? {};
    this.log = options.log === 'kafka' ? kafkaLog(this) : embeddedLog(this);
    this.configure('cluster');
  }

  /** Writes a configuration of this pipeline, which may differ, and gives its path. */
  configure(name: string, changes: { log?: object; processing?: Record<string, unknown> } = {}): string {
    const file = join(this.folder, `${name}.yml`);
    const processing = { ...this.#settings.processing, ...changes.processing };
    const log = changes.log ?? this.log?.section;
    writeFileSync(
      file,
      pipelineConfig({ ports: this.ports, instances: this.instances, log, settings: { processing } }),
    );
    return file;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  logFile(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  /** What a process said so far, over all its lives. */
  said(name: string): string {
    return readFileSync(this.logFile(name), 'utf8');
  }

  async start(): Promise<void> {
    mkdirSync(this.data, { recursive: true });
    for (const node of this.nodes) this.launch(node, { words: ['--new-cluster'] });
    await Promise.all([this.log.start(), ...this.nodes.map((node) => this.untilWell(node))]);
    for (const name of [...this.instances, 'query']) this.launch(name);
    await Promise.all([...this.instances, 'query'].map((name) => this.untilWell(name)));
    await this.untilOwned();
  }

  /** Starts a process of the pipeline and returns at once. */
  launch(name: string, how: { words?: string[]; configFile?: string; data?: string } = {}): void {
    const { words = [], configFile = join(this.folder, 'cluster.yml'), data = this.data } = how;
    const verb = this.nodes.includes(name)
      ? ['node', name]
      : name === 'log' || name === 'query'
        ? [name]
        : ['processing', '--name', name];
    const args = [...verb, '--config', configFile, '--data', data, ...words];
    this.processes.launch(name, args, this.logFile(name));
  }

  /** Runs a verb of `tallyring` on this pipeline to its end. */
  command(name: string, words: readonly string[]): Promise<CommandResult> {
    return this.processes.run(name, [...words, '--config', join(this.folder, 'cluster.yml')]);
  }

  /** Waits until a process says that it is well. */
  untilWell(name: string): Promise<void> {
    return waitUntil(`${name} is well (${this.logFile(name)})`, UP_BOUND_MS, async () => {
      if (!this.processes.isAlive(name)) throw new Error(`${name} ended: ${this.said(name).slice(-600)}`);
      return this.isWell(name);
    });
  }

  async isWell(name: string): Promise<boolean> {
    const health = await getJson(`${this.urlOf(name)}/health`);
    if (health?.status !== 200) return false;
    return !this.nodes.includes(name) || health.body.status === 'normal';
  }

  /** Where its HTTP answers. */
  urlOf(name: string): string {
    const { nodeMetrics, logMetrics, query, instances } = this.ports;
    const node = this.nodes.indexOf(name);
    const port =
      node >= 0
        ? nodeMetrics[node]
        : name === 'log'
          ? logMetrics
          : name === 'query'
            ? query
            : instances[this.instances.indexOf(name)];
    return `http://127.0.0.1:${port}`;
  }

  /** What an instance says of itself; undefined while it does not answer. */
  async health(instance: string): Promise<ProcessingHealth | undefined> {
    if (!this.processes.isAlive(instance) || this.processes.isPaused(instance)) return undefined;
    return (await getJson(`${this.urlOf(instance)}/health`))?.body as ProcessingHealth | undefined;
  }

  async healths(): Promise<ProcessingHealth[]> {
    const all = await Promise.all(this.instances.map((name) => this.health(name)));
    return all.filter((health) => health !== undefined);
  }

  /** One figure of an instance's metrics, e.g. `tallyring_partitions{state="waiting"}`. */
  async metric(instance: string, sample: string): Promise<number | undefined> {
    const text = await getText(`${this.urlOf(instance)}/metrics`);
    const line = text?.split('\n').find((each) => each.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length));
  }

  /** Partitions that instances which can be asked own. */
  async owned(): Promise<Set<number>> {
    const healths = await this.healths();
    return new Set(
      healths.flatMap(({ partitions }) =>
        partitions.filter(({ state }) => state === 'owner').map(({ partition }) => partition),
      ),
    );
  }

  untilOwned(boundMs = UP_BOUND_MS): Promise<void> {
    return waitUntil(
      'every partition is owned',
      boundMs,
      async () => (await this.owned()).size === this.log.partitions,
    );
  }

  /** Kills all there is; the folder stays when something is to be looked into. */
  async close({ keep = false } = {}): Promise<void> {
    await this.log.close();
    await this.processes.close();
    if (!keep) rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
