import { SeededRandom } from '../../test/simulation/seeded-random.js';
import { GossipCluster, type Member } from './cluster.js';
import { type ConvictionFigures, type PauseKind, poissonBound } from './figures.js';

export interface ConvictionPlan {
  nodes: number;
  lossRate: number;
  pauses: PauseKind;
  seconds: number;
}

/** How long processes stand still, and how far apart one's pauses begin, on average. */
const PAUSES = {
  short: { fromMs: 1_000, toMs: 12_000, everyMs: 60_000 },
  long: { fromMs: 25_000, toMs: 40_000, everyMs: 300_000 },
};
/** What was convicted while it stood still was rightly so, and for as long after as news takes to travel. */
const AFTERWARDS_MS = 10_000;

/**
 * Counts convictions of living nodes by their peers. Short pauses are no reason for one. Long ones are: then only
 * those convictions are false whose subject did not stand still, such as those that a node makes that did.
 */
export async function measureConvictions(
  plan: ConvictionPlan,
  report: (text: string) => void,
): Promise<ConvictionFigures> {
  const { nodes, lossRate, pauses, seconds } = plan;
  const cluster = new GossipCluster({ nodes, lossRate, seed: 7_000 + nodes });
  const { time, members } = cluster;
  const byId = new Map(members.map((member) => [member.nodeId, member]));
  let convictions = 0;
  cluster.onConviction = (_, subject) => {
    const { pausedUntilMs } = byId.get(subject)!;
    const excused = pauses === 'long' && pausedUntilMs > 0 && pausedUntilMs + AFTERWARDS_MS > time.nowMs;
    if (!excused) convictions++;
  };
  cluster.startAll();
  if (pauses !== 'none') for (const member of members) pauseNowAndThen(cluster, member, PAUSES[pauses]);
  for (let second = 1; second <= seconds; second++) {
    report(`second ${second} of ${seconds}, ${convictions} convictions`);
    await time.run(second * 1_000);
  }
  const nodeHours = (nodes * seconds) / 3_600;
  return {
    nodes,
    lossRate,
    pauses,
    convictions,
    nodeHours,
    perNodeHour: convictions / nodeHours,
    atMostPerNodeHour: poissonBound(convictions) / nodeHours,
    mostPeersARound: cluster.network.mostPeersARound,
  };
}

function pauseNowAndThen(
  cluster: GossipCluster,
  member: Member,
  { fromMs, toMs, everyMs }: { fromMs: number; toMs: number; everyMs: number },
): void {
  const random = new SeededRandom(`pauses/${member.nodeId}`);
  const next = () => {
    cluster.time.after(random.between(toMs, 2 * everyMs - toMs), () => {
      member.pausedUntilMs = cluster.time.nowMs + random.between(fromMs, toMs);
      next();
    });
  };
  next();
}
