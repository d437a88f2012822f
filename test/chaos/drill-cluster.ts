import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { connectOperator } from '../../client/transport/grpc.js';
import type { NodeReport } from '../../proto/calls.js';

// From the source and from dist alike: the folder that has package.json.
const here = fileURLToPath(new URL('.', import.meta.url));
export const PROJECT = existsSync(join(here, '../../package.json'))
  ? join(here, '../..')
  : join(here, '../../..');
const COMMAND = join(PROJECT, 'dist', 'cli', 'main.js');

const STORE_PARTS = ['identity.json', 'db'];

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A three-node cluster of real processes, driven by the command line as a user would. */
export class DrillCluster {
  readonly folder: string;
  readonly configFile: string;
  readonly nodeIds = ['n1', 'n2', 'n3'];
  readonly addresses: string[];

  constructor(name: string, firstPort: number) {
    this.folder = join(PROJECT, '.tallyring', 'drills', name);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    this.configFile = join(this.folder, 'cluster.yml');
    this.addresses = this.nodeIds.map((_, i) => `127.0.0.1:${firstPort + i}`);
    const nodes = this.nodeIds.map((id, i) => ({ id, port: firstPort + i }));
    // A recovering node waits for the longest request to end: kept short, so that drills are.
    const limits = { maxRequestMs: 3_000, defaultRequestMs: 2_000 };
    const config = { cluster: `drill-${name}`, replication: { dc1: 3 }, nodes, limits, logLevel: 'info' };
    writeFileSync(this.configFile, stringify(config));
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  /** Runs a verb to its end. */
  run(words: readonly string[], input?: string): Promise<CommandResult> {
    const child = this.spawn(words);
    child.stdin.end(input);
    return collect(child);
  }

  spawn(words: readonly string[]) {
    const [verb, ...rest] = words;
    const data = verb === 'cluster' ? ['--data', this.data] : [];
    const args = [COMMAND, verb!, ...rest, '--config', this.configFile, ...data];
    return spawn(process.execPath, args, { cwd: PROJECT, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** Runs a verb that must succeed. */
  async must(...words: string[]): Promise<string> {
    const result = await this.run(words);
    if (result.code === 0) return result.stdout;
    throw new Error(
      `tallyring ${words.join(' ')} ended with ${result.code}: ${result.stderr}${result.stdout}`,
    );
  }

  up = () => this.must('cluster', 'up', '--detach');
  kill = (nodeId: string) => this.must('cluster', 'kill', nodeId);
  start = (nodeId: string) => this.must('cluster', 'start', nodeId);

  async close(): Promise<void> {
    for (const nodeId of this.nodeIds) await this.run(['cluster', 'resume', nodeId]);
    await this.run(['cluster', 'down']);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What one node says of itself; undefined while it does not answer. */
  async report(nodeId: string): Promise<NodeReport | undefined> {
    const operator = connectOperator(this.addresses[this.nodeIds.indexOf(nodeId)]!);
    try {
      return await operator.report({ timeoutMs: 1_000 });
    } catch {
      return undefined;
    } finally {
      operator.close();
    }
  }

  /** Waits until `verify` finds every replica equal. Resolves with the seconds that it took. */
  async untilEqual(boundMs: number): Promise<number> {
    const startMs = performance.now();
    await waitUntil('verify is clean', boundMs, async () => (await this.run(['verify'])).code === 0);
    return (performance.now() - startMs) / 1_000;
  }

  /** A copy of what a stopped node keeps. */
  copyStore(nodeId: string, to: string): void {
    rmSync(to, { recursive: true, force: true });
    for (const part of STORE_PARTS)
      cpSync(join(this.data, nodeId, part), join(to, part), { recursive: true });
  }

  /** The node's whole folder. */
  deleteStore(nodeId: string): void {
    rmSync(join(this.data, nodeId), { recursive: true });
  }

  restoreStore(nodeId: string, from: string): void {
    for (const part of STORE_PARTS) {
      rmSync(join(this.data, nodeId, part), { recursive: true });
      cpSync(join(from, part), join(this.data, nodeId, part), { recursive: true });
    }
  }
}

export function collect(child: ReturnType<typeof spawn>): Promise<CommandResult> {
  const out: CommandResult = { code: null, stdout: '', stderr: '' };
  child.stdout!.on('data', (chunk: Buffer) => {
    out.stdout += chunk;
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    out.stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...out, code }));
  });
}

/** Waits for a condition, with a bound. */
export async function waitUntil(
  what: string,
  boundMs: number,
  isTrue: () => Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + boundMs;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${boundMs / 1_000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
