import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { partitionOf } from '../../../services/event.js';
import { connectLog } from '../../../services/log/transport/client.js';
import { PROJECT, waitUntil } from '../../chaos/drill-cluster.js';
import { type Expected, truthOf } from '../../chaos/real-events.js';
import { COMMAND, command } from './command.js';

// The whole, as a newcomer runs it, by its own command line: one node is enough for that.
const FILE = join(PROJECT, 'test', 'data', 'changes.jsonl.gz');
const PORT = 25_800;
const PROCESSING = `http://127.0.0.1:${PORT + 3}`;
const BOUND_MS = 20_000;
const folder = join(PROJECT, '.tallyring', 'drills', 'command-line');
const configFile = join(folder, 'cluster.yml');

const run = (words: string[], more: { data?: string; input?: string } = {}) =>
  command(
    [...words, '--config', configFile, ...(more.data === undefined ? [] : ['--data', more.data])],
    more.input,
  );

async function must(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(words);
  if (code === 0) return stdout;
  throw new Error(`tallyring ${words.join(' ')} ended with ${code}: ${stderr}${stdout}`);
}

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const config = {
    cluster: 'command-line',
    replication: { dc1: 1 },
    nodes: [{ id: 'n1', port: PORT }],
    services: {
      log: { port: PORT + 1, metricsPort: PORT + 2 },
      processing: { flushIntervalMs: 200, instances: [{ name: 'p1', port: PORT + 3 }] },
      query: { port: PORT + 4 },
    },
  };
  writeFileSync(configFile, stringify(config));
  await must('cluster', 'up', '--detach');
});

afterAll(async () => {
  await run(['cluster', 'down']);
  rmSync(folder, { recursive: true, force: true });
});

/** Waits until everything in the log is counted. */
async function untilCounted(): Promise<void> {
  await waitUntil('all is counted', BOUND_MS, async () => {
    const health = (await fetch(`${PROCESSING}/health`).then((answer) => answer.json())) as {
      lag: number;
      partitions: { state: string; committed?: number; end?: number }[];
    };
    const log = await connectLog({ address: `127.0.0.1:${PORT + 1}` });
    try {
      const bounds = await Promise.all(health.partitions.map((_, i) => log.bounds(i, { timeoutMs: 1_000 })));
      const isWhole = health.partitions.length === log.description.partitions;
      return isWhole && health.partitions.every(({ committed }, i) => (committed ?? 0) === bounds[i]!.end);
    } finally {
      await log.close();
    }
  });
}

/** Keys whose count or sum is not that of the file. */
async function wrongTotals(totals: ReadonlyMap<string, Expected>): Promise<string[]> {
  const names = [...totals.keys()];
  const lines = names.map((name) => {
    const [key, eventType] = name.split('\t');
    return `${JSON.stringify({ key, eventType })}\n`;
  });
  const { stdout } = await run(['get', '-'], { input: lines.join('') });
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Expected);
  expect(answers).toHaveLength(names.length);
  return names.filter((name, i) => {
    const { count, sum } = totals.get(name)!;
    return answers[i]!.count !== count || answers[i]!.sum !== sum;
  });
}

describe('the pipeline by its command line', () => {
  it('counts a file through the log, and a rerun not again, over the death of the processing service', async () => {
    const { events, totals } = await truthOf(FILE);
    const first = JSON.parse(await must('import', FILE, '--via', 'log', '--json'));
    expect(first).toMatchObject({ events, rejected: 0 });
    await must('cluster', 'kill', 'p1');
    await must('cluster', 'start', 'p1');
    await must('import', FILE, '--via', 'log');
    await untilCounted();
    expect(await wrongTotals(totals)).toEqual([]);
  }, 60_000);

  it('lists what it cannot count, and counts it once when it is replayed', async () => {
    const log = await connectLog({ address: `127.0.0.1:${PORT + 1}` });
    const partition = partitionOf('replayed', log.description.partitions);
    await log.append([{ partition, records: [Buffer.from('no record')] }], { timeoutMs: 5_000 });
    await log.close();
    await waitUntil('the dead letter is there', BOUND_MS, async () =>
      /no msgpack|no array|format/.test(await must('deadletter', 'list')),
    );
    const [letter] = (await must('deadletter', 'list', '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const fields = ['videoId=replayed', 'eventType=view', `timestamp=${Date.now()}`, 'value=7'];
    const words = ['deadletter', 'replay', letter.key, ...fields.flatMap((field) => ['--set', field])];
    expect(await must(...words)).toBe('1 dead letter: 1 replayed\n');
    expect(await must(...words)).toBe('1 dead letter: 1 replayed before\n');
    await untilCounted();
    expect(JSON.parse(await must('get', 'replayed', 'view', '--json'))).toMatchObject({ count: 1, sum: 7 });
  }, 60_000);

  it('tells of all in its status', async () => {
    const status = JSON.parse(await must('status', '--json'));
    const up = (status.services as { name: string; up: boolean }[]).map(({ name, up }) => [name, up]);
    expect(up).toEqual([
      ['log', true],
      ['p1', true],
      ['query', true],
    ]);
  });

  it('lets nodes and queries go first', () => {
    const pidOf = (id: string) => Number(readFileSync(join(folder, '.tallyring', id, 'pid'), 'utf8'));
    const niceness = ['n1', 'log', 'p1', 'query'].map((id) => getPriority(pidOf(id)));
    expect(niceness).toEqual([0, 10, 10, 0]);
    // Systems that do not weigh sessions against each other have no such file.
    const sessions = ['log', 'p1'].map((id) => `/proc/${pidOf(id)}/autogroup`).filter(existsSync);
    for (const file of sessions) expect(readFileSync(file, 'utf8')).toMatch(/ nice 10$/m);
  });

  it('refuses a second start on the same ports, and leaves the first alone', async () => {
    const { code, stderr } = await run(['cluster', 'up', '--detach'], { data: join(folder, 'other') });
    expect(code).toBe(3);
    expect(stderr).toContain(`127.0.0.1:${PORT} (n1), 127.0.0.1:${PORT + 1} (log)`);
    expect(stderr).toContain('in use already');
    expect((await run(['cluster', 'start', 'p1'])).stdout).toContain('p1 already runs');
  });

  it('stops a single service and all of them', async () => {
    await must('cluster', 'kill', 'query', '--signal', 'TERM');
    const status = JSON.parse(await must('status', '--json'));
    expect(status.services.at(-1)).toMatchObject({ name: 'query', up: false });
    expect(await must('cluster', 'down')).toBe('stopped n1, log, p1\n');
  });
});

describe('start whose terminal is closed', () => {
  const closedFolder = join(PROJECT, '.tallyring', 'drills', 'closed-terminal');
  const closedFile = join(closedFolder, 'cluster.yml');
  const inClosed = (...words: string[]) => command([...words, '--config', closedFile]);

  afterAll(async () => {
    await inClosed('cluster', 'down');
    rmSync(closedFolder, { recursive: true, force: true });
  });

  it('leaves nothing running, though nobody reads what it has to say', async () => {
    rmSync(closedFolder, { recursive: true, force: true });
    mkdirSync(closedFolder, { recursive: true });
    const nodes = [{ id: 'n1', port: PORT + 10 }];
    writeFileSync(closedFile, stringify({ cluster: 'closed', replication: { dc1: 1 }, nodes }));
    const words = [COMMAND, 'start', '--json', '--config', closedFile];
    const child = spawn(process.execPath, words, { cwd: PROJECT, stdio: 'pipe' });
    const ended = new Promise((resolve) => child.once('exit', (...end) => resolve(end)));
    // Its first words: the node is not up yet, and there is more to say.
    await new Promise((resolve) => child.stderr.once('data', resolve));
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await ended).toEqual([0, null]);
    expect((await inClosed('cluster', 'down')).stdout).toMatch(/^no node or service/);
  }, 60_000);
});
