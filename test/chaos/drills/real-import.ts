import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type DrillCluster, PROJECT } from '../drill-cluster.js';
import { type Truth, truthOf } from '../real-events.js';
import { type Drill, mustBe } from './drill.js';

export const EVENTS_FILE = join(PROJECT, 'test', 'data', 'changes.jsonl.gz');
const BOUND_EQUAL_MS = 60_000;
/** Of the events' bytes, kept back until the last node is up again, so that all kills lie inside the import. */
const KEPT_BACK_SHARE = 0.05;

interface AnswerLine {
  key: string;
  eventType: string;
  count: number;
  sum: number;
  series?: { start: string; count: number; sum: number }[];
}

/** The real events, counted without disturbance: every key in total and per hour. */
export const realImport: Drill = {
  name: 'import',
  title: 'the real events, undisturbed',
  async run({ cluster, say }) {
    const truth = await truthOf(EVENTS_FILE);
    const imported = await cluster.must('import', EVENTS_FILE);
    say(imported.trim());
    await checkAll(cluster, truth);
    const seconds = await cluster.untilEqual(BOUND_EQUAL_MS);
    return [
      { what: 'events, keys', value: `${truth.events}, ${truth.totals.size}` },
      { what: 'keys off in total or per hour', value: '0' },
      { what: 'verify clean after', value: `${seconds.toFixed(1)} s` },
    ];
  },
};

/** The same, paced, while each node in turn is killed with -9 and started again. */
export const importWithKills: Drill = {
  name: 'import-kills',
  title: 'the real events, each node killed -9 in turn while they are counted',
  async run({ cluster, seconds, say }) {
    const truth = await truthOf(EVENTS_FILE);
    const rate = Math.ceil(truth.events / seconds);
    const [events, rest] = parted(gunzipSync(readFileSync(EVENTS_FILE)));
    const importing = cluster.spawn(['import', '-', '--rate', String(rate)]);
    // What import's early end does to the pipe is told by its exit code.
    importing.stdin.on('error', () => {});
    importing.stdin.write(events);
    let progress = '';
    let ended: number | null | undefined;
    const keep = (chunk: Buffer) => {
      progress = chunk.toString().trim().split('\n').at(-1)!;
    };
    importing.stdout.on('data', keep);
    importing.stderr.on('data', keep);
    const done = new Promise<void>((resolve) =>
      importing.on('close', (code) => {
        ended = code;
        resolve();
      }),
    );
    const startMs = performance.now();
    // Kills at a tenth, a third and six tenths of the import.
    for (const [i, nodeId] of cluster.nodeIds.entries()) {
      await pass(seconds * 1_000 * (0.1 + 0.25 * i) - (performance.now() - startMs));
      mustBe('import still runs at the kill', ended, undefined);
      await cluster.kill(nodeId);
      say(`killed ${nodeId} at: ${progress}`);
      await pass(Math.min(3_000, seconds * 60));
      await cluster.start(nodeId);
    }
    mustBe('import still runs after the last restart', ended, undefined);
    importing.stdin.end(rest);
    await done;
    mustBe('exit code of import', ended, 0);
    say(progress);
    const equalAfter = await cluster.untilEqual(BOUND_EQUAL_MS);
    await checkAll(cluster, truth);
    return [
      { what: 'kills', value: String(cluster.nodeIds.length) },
      { what: 'keys off in total or per hour', value: '0' },
      { what: 'verify clean after the import', value: `${equalAfter.toFixed(1)} s` },
    ];
  },
};

/** Cuts the file's lines in two, at the end of a line. */
function parted(lines: Buffer): [Buffer, Buffer] {
  const cut = lines.lastIndexOf('\n', Math.floor(lines.length * (1 - KEPT_BACK_SHARE))) + 1;
  return [lines.subarray(0, cut), lines.subarray(cut)];
}

/** Compares every key's total, and every hour of it, with what was computed apart. */
export async function checkAll(cluster: DrillCluster, truth: Truth): Promise<void> {
  const names = [...truth.totals.keys()];
  const requests = names.map((name) => {
    const [key, eventType] = name.split('\t');
    return { key, eventType };
  });
  const totals = await bulk(cluster, ['get', '-'], requests);
  const range = { start: truth.firstMs, end: truth.lastMs, granularity: 'hour' };
  const series = await bulk(
    cluster,
    ['stats', '-'],
    requests.map((request) => ({ ...request, ...range })),
  );
  for (const [i, name] of names.entries()) {
    const { count, sum } = totals[i]!;
    mustBe(`total of ${name}`, { count, sum }, truth.totals.get(name));
    const hours = [...truth.hours.get(name)!].sort(([a], [b]) => a - b);
    mustBe(
      `hours of ${name}`,
      series[i]!.series!.map((point) => [Date.parse(point.start), { count: point.count, sum: point.sum }]),
      hours,
    );
  }
}

async function bulk(cluster: DrillCluster, words: string[], requests: object[]): Promise<AnswerLine[]> {
  const input = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
  const { code, stdout, stderr } = await cluster.run(words, input);
  mustBe(`exit code of ${words.join(' ')} (${stderr.trim()})`, code, 0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as AnswerLine);
}

/** Lets time pass while something else is going on: the drill's own pace, not a wait for a condition. */
export function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
