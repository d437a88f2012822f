import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../../../client/index.js';
import { type Drill, mustBe } from './drill.js';

const KEYS = 500;
const EVENT_TYPE = 'view';

/** Counts without pause until it is told to stop; what it counted, by key. */
async function count(
  addresses: string[],
  counted: Map<string, number>,
  goesOn: () => boolean,
): Promise<void> {
  await using client = await connect({ contactPoints: addresses });
  for (let i = 0; goesOn(); i++) {
    const key = `rebuilt-${i % KEYS}`;
    counted.set(key, (counted.get(key) ?? 0) + 1);
    await client.increment(key, EVENT_TYPE, { timeoutMs: 60_000 });
  }
}

/** A store that cannot be opened any more, set aside by the operator's verb while counting goes on. */
export const rebuild: Drill = {
  name: 'rebuild',
  title: 'a node whose store is broken, set aside and rebuilt from its peers',
  async run({ cluster, seconds, say }) {
    const counted = new Map<string, number>();
    const endMs = performance.now() + seconds * 1_000;
    await count(cluster.addresses, counted, () => counted.size < KEYS || performance.now() < endMs);
    await cluster.kill('n2');
    const refused = await cluster.run(['cluster', 'rebuild', 'n3']);
    mustBe('exit code of a rebuild while another node is down', refused.code, 3);
    rmSync(join(cluster.data, 'n2', 'db', 'CURRENT')); // without it LevelDB would begin an empty database
    const broken = await cluster.run(['cluster', 'start', 'n2']);
    mustBe('exit code of a start on the broken store', broken.code, 3);
    mustBe('it names the verb that helps', broken.stderr.includes('tallyring cluster rebuild'), true);

    let done = false;
    const counting = count(cluster.addresses, counted, () => !done);
    counting.catch(() => undefined); // awaited below
    const startMs = performance.now();
    const { code, stdout, stderr } = await cluster.run(['cluster', 'rebuild', 'n2', '--json']);
    const tookMs = performance.now() - startMs;
    for (const line of stderr.split('\n').filter((text) => text !== '')) say(line);
    done = true;
    await counting;
    mustBe(`exit code of the rebuild (${stderr})`, code, 0);
    const { aside, status } = JSON.parse(stdout) as { aside: string; status: string };
    mustBe('where the store is set aside', aside, join(cluster.data, 'n2.aside-1'));
    mustBe('the identity was set aside too', existsSync(join(aside, 'identity.json')), true);
    mustBe('status after the rebuild', status, 'normal');

    const equalAfter = await cluster.untilEqual(60_000);
    // Without n1 every quorum read rests on the rebuilt node.
    await cluster.kill('n1');
    await using client = await connect({ contactPoints: cluster.addresses });
    for (const [key, times] of counted)
      mustBe(`count of ${key}`, (await client.get(key, EVENT_TYPE)).count, times);
    await cluster.start('n1');
    return [
      { what: 'rebuilt after', value: `${(tookMs / 1_000).toFixed(1)} s` },
      { what: 'keys off', value: '0' },
      { what: 'verify clean after', value: `${equalAfter.toFixed(1)} s` },
    ];
  },
};
