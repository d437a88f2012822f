import { connect } from '../../../client/index.js';
import { grpcTransport } from '../../../client/transport/grpc.js';
import { waitUntil } from '../drill-cluster.js';
import { type Drill, mustBe } from './drill.js';

const BOUND_REFUSED_MS = 1_000;
const BOUND_SEEN_MS = 30_000;
const ROUNDS = 20;

/** Two of three nodes dead: QUORUM is refused at once, ONE still counts, and nothing of it is lost. */
export const majorityLoss: Drill = {
  name: 'majority',
  title: 'two of three nodes killed -9',
  async run({ cluster, say }) {
    const [n1 = '', n2 = '', n3 = ''] = cluster.nodeIds;
    const node = grpcTransport().connect(cluster.addresses[0]!);
    const event = { key: 'survivor', eventType: 'view', value: 2 };
    const options = { timeoutMs: 2_000 };
    const outcome = async (level: 'ONE' | 'QUORUM') => (await node.increment([event], level, options))[0]!;
    mustBe('increment at QUORUM with all nodes', await outcome('QUORUM'), { ok: null });
    await Promise.all([cluster.kill(n2), cluster.kill(n3)]);
    const killedMs = performance.now();
    let refused: unknown;
    await waitUntil('QUORUM is refused', BOUND_REFUSED_MS, async () => {
      const result = await node.increment([event], 'QUORUM', options).then(
        ([first]) => (first !== undefined && 'error' in first ? first.error : undefined),
        (error: unknown) => error as { code?: string },
      );
      refused = result;
      return (result as { code?: string } | undefined)?.code === 'UNAVAILABLE';
    });
    const refusedAfterMs = performance.now() - killedMs;
    const { code, required, live, mayHaveApplied } = refused as Record<string, unknown>;
    mustBe(
      'the refusal',
      { code, required, live, mayHaveApplied },
      { code: 'UNAVAILABLE', required: 2, live: 1, mayHaveApplied: false },
    );
    say(`QUORUM refused ${refusedAfterMs.toFixed(0)} ms after the kills`);
    for (let i = 0; i < ROUNDS; i++) mustBe(`increment ${i} at ONE`, await outcome('ONE'), { ok: null });
    const client = await connect({ contactPoints: cluster.addresses, consistency: 'ONE' });
    for (let i = 0; i < ROUNDS; i++) await client.increment('survivor', 'view', { by: 2 });
    await Promise.all([cluster.start(n2), cluster.start(n3)]);
    // What was in doubt between the kill and the refusal may have been counted: at least the acknowledged.
    const least = 1 + 2 * ROUNDS;
    let count = 0;
    await waitUntil('QUORUM sees what ONE counted', BOUND_SEEN_MS, async () => {
      const [found] = await node
        .get([{ key: 'survivor', eventType: 'view' }], 'QUORUM', options)
        .catch(() => []);
      count = found !== undefined && 'ok' in found ? Number(found.ok.count) : 0;
      return count >= least;
    });
    await client.close();
    node.close();
    const equalAfter = await cluster.untilEqual(60_000);
    say(`${n1} alone counted ${2 * ROUNDS} at ONE; QUORUM sees ${count}`);
    return [
      { what: 'QUORUM refused after', value: `${refusedAfterMs.toFixed(0)} ms` },
      { what: 'counted at ONE, seen at QUORUM', value: `${2 * ROUNDS} of ${2 * ROUNDS}` },
      { what: 'verify clean after', value: `${equalAfter.toFixed(1)} s` },
    ];
  },
};
