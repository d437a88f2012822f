import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { connect } from '../../../client/index.js';
import { PROJECT } from '../drill-cluster.js';
import type { WorkerReport } from '../sdk-worker.js';
import { type Drill, mustBe } from './drill.js';
import { pass } from './real-import.js';

const PROCESSES = 8;
const EVENT_TYPE = 'tap';
const BETWEEN_KILLS_MS = 2_500;
const DOWN_MS = 1_500;
const BOUND_EQUAL_MS = 60_000;

/** Eight application processes count the same keys while nodes, coordinators included, are killed with -9. */
export const sdkProcesses: Drill = {
  name: 'sdk-kills',
  title: 'eight SDK processes on overlapping keys, a random node killed -9 every few seconds',
  async run({ cluster, seconds, say }) {
    const workers = Array.from({ length: PROCESSES }, () => startWorker(cluster.addresses));
    await Promise.all(workers.map((worker) => worker.ready));
    const untilMs = performance.now() + seconds * 1_000;
    let kills = 0;
    while (performance.now() < untilMs) {
      await pass(BETWEEN_KILLS_MS);
      const nodeId = cluster.nodeIds[Math.floor(Math.random() * cluster.nodeIds.length)]!;
      await cluster.kill(nodeId);
      kills++;
      say(`kill ${kills}: ${nodeId}`);
      await pass(DOWN_MS);
      await cluster.start(nodeId);
    }
    for (const { child } of workers) child.send('stop');
    const reports = await Promise.all(workers.map((worker) => worker.report));
    mustBe(
      'errors that the applications saw',
      reports.flatMap((report) => report.errors),
      [],
    );
    const expected = new Map<string, [number, number]>();
    for (const [key, [count, sum]] of reports.flatMap((report) => report.counted)) {
      const held = expected.get(key) ?? [0, 0];
      expected.set(key, [held[0] + count, held[1] + sum]);
    }
    await using client = await connect({ contactPoints: cluster.addresses });
    for (const [key, [count, sum]] of expected) {
      const found = await client.get(key, EVENT_TYPE);
      mustBe(`value of ${key}`, [found.count, found.sum], [count, sum]);
    }
    const equalAfter = await cluster.untilEqual(BOUND_EQUAL_MS);
    const events = [...expected.values()].reduce((total, [count]) => total + count, 0);
    return [
      { what: 'kills', value: String(kills) },
      { what: 'events counted', value: events.toLocaleString('en') },
      { what: 'errors seen by the applications', value: '0' },
      { what: 'keys off', value: '0' },
      { what: 'slowest call', value: `${Math.max(...reports.map((r) => r.slowestMs)).toFixed(0)} ms` },
      { what: 'verify clean after', value: `${equalAfter.toFixed(1)} s` },
    ];
  },
};

function startWorker(addresses: readonly string[]) {
  const file = join(PROJECT, 'dist', 'test', 'chaos', 'sdk-worker.js');
  const child: ChildProcess = fork(file, [addresses.join(',')]);
  let isReady: () => void;
  let hasReport: (report: WorkerReport) => void;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const report = new Promise<WorkerReport>((resolve, reject) => {
    hasReport = resolve;
    child.on('exit', (code) => reject(new Error(`an application process ended with ${code} and no report`)));
  });
  report.catch(() => undefined); // awaited when the drill is over
  child.on('message', (message) => {
    if (message === 'ready') isReady();
    else hasReport(message as WorkerReport);
  });
  return { child, ready, report };
}
