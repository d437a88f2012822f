import { type ConvictionPlan, measureConvictions } from './convictions.js';
import type { Figures, PauseKind } from './figures.js';
import { type GossipPlan, measureGossip } from './gossip.js';
import { measureRings, type RingPlan } from './ring.js';

/** One measurement: plain data, done in a process of its own. */
export type Job = { name: string; heapMiB?: number } & (
  | { kind: 'gossip'; plan: GossipPlan }
  | { kind: 'convictions'; plan: ConvictionPlan }
  | { kind: 'ring'; plan: RingPlan }
);

/** What a job gives. */
export type Measured = Partial<Pick<Figures, 'gossip' | 'detection' | 'convictions' | 'ring'>>;

export async function runJob(job: Job, report: (text: string) => void): Promise<Measured> {
  if (job.kind === 'ring') return { ring: await measureRings(job.plan, report) };
  if (job.kind === 'convictions') return { convictions: [await measureConvictions(job.plan, report)] };
  const { gossip, detection } = await measureGossip(job.plan, report);
  return { gossip: [gossip], detection: [detection] };
}

/** All that was measured, smallest clusters first. */
export function combine(all: readonly Measured[]): Required<Measured> {
  const bySize = <T extends { nodes: number }>(figures: T[]) => figures.sort((a, b) => a.nodes - b.nodes);
  return {
    gossip: bySize(all.flatMap(({ gossip }) => gossip ?? [])),
    detection: bySize(all.flatMap(({ detection }) => detection ?? [])),
    convictions: bySize(all.flatMap(({ convictions }) => convictions ?? [])),
    ring: bySize(all.flatMap(({ ring }) => ring ?? [])),
  };
}

const LOSS_RATES = [0, 0.01, 0.05, 0.2, 0.4, 0.6];

function convictionJobs(nodes: number, seconds: number, lossRates: readonly number[]): Job[] {
  const job = (lossRate: number, pauses: PauseKind, what: string): Job => ({
    name: `convictions, ${nodes} nodes, ${what}`,
    kind: 'convictions',
    plan: { nodes, lossRate, pauses, seconds },
  });
  return [
    ...lossRates.map((lossRate) => job(lossRate, 'none', `${100 * lossRate} % loss`)),
    job(0, 'short', 'short pauses'),
    job(0, 'long', 'long pauses'),
  ];
}

/** The longest first, so that it does not end alone. */
export const FULL: readonly Job[] = [
  {
    name: 'gossip, 1,000 nodes',
    kind: 'gossip',
    // A million views of an endpoint, some 2.5 KiB each, and what of them became garbage.
    heapMiB: 9_000,
    plan: {
      nodes: 1_000,
      clusters: 1,
      changes: 20,
      starts: 10,
      victims: 10,
      settleSeconds: 9,
      steadySeconds: 2,
      phiWindowSize: 64,
      verdictShare: 0.995,
    },
  },
  {
    name: 'gossip, 100 nodes',
    kind: 'gossip',
    plan: {
      nodes: 100,
      clusters: 5,
      changes: 20,
      starts: 10,
      victims: 5,
      settleSeconds: 60,
      steadySeconds: 10,
    },
  },
  ...convictionJobs(100, 120, LOSS_RATES),
  {
    name: 'gossip, 10 nodes',
    kind: 'gossip',
    plan: {
      nodes: 10,
      clusters: 100,
      changes: 2,
      starts: 1,
      victims: 1,
      settleSeconds: 60,
      steadySeconds: 30,
    },
  },
  ...convictionJobs(10, 7_200, LOSS_RATES),
  {
    name: 'ring, 3 to 64 nodes',
    kind: 'ring',
    plan: { sizes: [3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64], namings: 4 },
  },
  { name: 'ring, 100 nodes', kind: 'ring', plan: { sizes: [100], namings: 4 } },
  { name: 'ring, 1,000 nodes', kind: 'ring', heapMiB: 3_000, plan: { sizes: [1_000], namings: 1 } },
];

/** A look at everything, in seconds. */
export const QUICK: readonly Job[] = [
  {
    name: 'gossip, 50 nodes',
    kind: 'gossip',
    plan: { nodes: 50, clusters: 1, changes: 10, starts: 5, victims: 3, settleSeconds: 15, steadySeconds: 5 },
  },
  {
    name: 'gossip, 10 nodes',
    kind: 'gossip',
    plan: { nodes: 10, clusters: 5, changes: 2, starts: 1, victims: 1, settleSeconds: 30, steadySeconds: 10 },
  },
  ...convictionJobs(10, 600, [0, 0.2]),
  { name: 'ring, 3 to 64 nodes', kind: 'ring', plan: { sizes: [3, 8, 24, 64], namings: 2 } },
];
