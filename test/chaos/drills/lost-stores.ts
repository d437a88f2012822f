import { join } from 'node:path';
import { connect } from '../../../client/index.js';
import { waitUntil } from '../drill-cluster.js';
import { type Drill, type DrillOptions, type Finding, mustBe } from './drill.js';
import { pass } from './real-import.js';

const KEYS = 200;
const BOUND_NORMAL_MS = 60_000;
const EVENT_TYPE = 'view';

/** Counts without pause and reads at QUORUM, and keeps what the reads must never fall below. */
class Watch {
  readonly counted = new Map<string, number>();
  backwards = 0;
  reads = 0;
  #stop = false;
  readonly #addresses: string[];

  constructor(addresses: string[]) {
    this.#addresses = addresses;
  }

  async run(): Promise<void> {
    await using client = await connect({ contactPoints: this.#addresses });
    const acknowledged = new Map<string, number>();
    const count = async () => {
      while (!this.#stop) {
        const key = `lost-${Math.floor(Math.random() * KEYS)}`;
        this.counted.set(key, (this.counted.get(key) ?? 0) + 1);
        await client.increment(key, EVENT_TYPE, { timeoutMs: 60_000 });
        acknowledged.set(key, (acknowledged.get(key) ?? 0) + 1);
      }
    };
    const seen = new Map<string, number>();
    const read = async () => {
      while (!this.#stop) {
        const key = `lost-${Math.floor(Math.random() * KEYS)}`;
        const least = Math.max(seen.get(key) ?? 0, acknowledged.get(key) ?? 0);
        const { count: found } = await client.get(key, EVENT_TYPE);
        this.reads++;
        if (Number(found) < least) this.backwards++;
        seen.set(key, Math.max(seen.get(key) ?? 0, Number(found)));
      }
    };
    await Promise.all([...Array.from({ length: 8 }, count), read(), read(), read()]);
  }

  stop(): void {
    this.#stop = true;
  }
}

async function disturb({ cluster, seconds, say }: DrillOptions, nodeId: string, how: 'delete' | 'restore') {
  const copy = join(cluster.folder, 'copy');
  if (how === 'restore') {
    await cluster.kill(nodeId);
    cluster.copyStore(nodeId, copy);
    await cluster.start(nodeId);
  }
  await pass(seconds * 1_000);
  await cluster.kill(nodeId);
  if (how === 'delete') cluster.deleteStore(nodeId);
  else cluster.restoreStore(nodeId, copy);
  say(`${nodeId}: store ${how === 'delete' ? 'deleted' : 'set back'}; starting it`);
  const started = cluster.start(nodeId);
  let wasRecovering = false;
  await waitUntil(`${nodeId} is normal again`, BOUND_NORMAL_MS, async () => {
    const report = await cluster.report(nodeId);
    if (report?.status === 'recovering' && report.waitsFor !== '')
      wasRecovering ||= !report.waitsFor.includes('answer');
    return report?.status === 'normal';
  });
  await started;
  mustBe(`${nodeId} came back recovering`, wasRecovering, true);
}

/** One node's store deleted, another one's set back to an older copy, while all is counted and read. */
export const lostStores: Drill = {
  name: 'lost-stores',
  title: "one node's store deleted, then one set back to an older copy, while counting goes on",
  async run(options): Promise<Finding[]> {
    const { cluster } = options;
    const watch = new Watch(cluster.addresses);
    const watching = watch.run();
    watching.catch(() => undefined); // awaited below
    await disturb(options, 'n2', 'delete');
    await disturb(options, 'n3', 'restore');
    watch.stop();
    await watching;
    mustBe('quorum reads that went backwards', watch.backwards, 0);
    await using client = await connect({ contactPoints: cluster.addresses });
    for (const [key, count] of watch.counted)
      mustBe(`count of ${key}`, (await client.get(key, EVENT_TYPE)).count, count);
    const equalAfter = await cluster.untilEqual(60_000);
    return [
      { what: 'quorum reads, backwards', value: `${watch.reads.toLocaleString('en')}, 0` },
      { what: 'keys off', value: '0' },
      { what: 'verify clean after', value: `${equalAfter.toFixed(1)} s` },
    ];
  },
};
