import { shuffled } from '../../ports/random.js';
import { SeededRandom } from '../../test/simulation/seeded-random.js';
import { GOSSIP, GossipCluster, type Member } from './cluster.js';
import { type DetectionFigures, type GossipFigures, spreadOf } from './figures.js';
import { Verdicts } from './verdicts.js';
import { CHECK_MS, Watch } from './watch.js';

export interface GossipPlan {
  nodes: number;
  /** Independent clusters, one after the other. */
  clusters: number;
  /** In each: nodes that change their status, that start late, and whose machine vanishes. */
  changes: number;
  starts: number;
  victims: number;
  /** From an empty cluster until all know all; then bytes and CPU are measured; then things happen. */
  settleSeconds: number;
  steadySeconds: number;
  phiWindowSize?: number;
  /** The share of verdicts that are waited for; those missing count as later than any other. */
  verdictShare?: number;
}

type Report = (text: string) => void;

/** Longest that news and verdicts are waited for. */
const LONGEST_SECONDS = 90;

/** Of one cluster. */
interface Result {
  changeMs: number[];
  startMs: number[];
  shares: readonly (readonly number[])[];
  detectionMs: number[];
  missing: number;
  sent: number;
  received: number;
  busiest: number;
  cpuMs: number;
  mostPeersARound: number;
  falseConvictions: number;
  simulatedMs: number;
}

/** News, costs and detection in `plan.clusters` clusters of one size. */
export async function measureGossip(
  plan: GossipPlan,
  report: Report,
): Promise<{ gossip: GossipFigures; detection: DetectionFigures }> {
  const results: Result[] = [];
  for (let seed = 1; seed <= plan.clusters; seed++) {
    results.push(await runCluster(plan, seed, (text) => report(`cluster ${seed}/${plan.clusters}, ${text}`)));
  }
  // What gossip costs when every node is up; one cluster that is all there is has its late nodes missing.
  const whole = plan.clusters > 1 ? { ...plan, changes: 0, starts: 0, victims: 0 } : plan;
  const cost = whole === plan ? results[0]! : await runCluster(whole, 0, (text) => report(`all up, ${text}`));
  const { nodes, steadySeconds } = plan;
  const nodeSeconds = (nodes - whole.starts) * steadySeconds;
  const all = <T>(pick: (result: Result) => readonly T[]): T[] => results.flatMap(pick);
  const mean = (pick: (result: Result) => number) =>
    results.reduce((sum, result) => sum + pick(result), 0) / results.length;
  const most = (pick: (result: Result) => number) => Math.max(...results.map(pick));
  const roundsOf = (times: number[]) => spreadOf(times.map((ms) => ms / GOSSIP.gossipIntervalMs));
  return {
    gossip: {
      nodes,
      changeRounds: roundsOf(all(({ changeMs }) => changeMs)),
      startRounds: roundsOf(all(({ startMs }) => startMs)),
      curve: meanCurve(all(({ shares }) => shares)),
      sentBytesPerNodeSecond: Math.round(cost.sent / nodeSeconds),
      receivedBytesPerNodeSecond: Math.round(cost.received / nodeSeconds),
      busiestBytesPerSecond: Math.round(cost.busiest / steadySeconds),
      mostPeersARound: most(({ mostPeersARound }) => mostPeersARound),
      cpuMsPerNodeSecond: Number((cost.cpuMs / nodeSeconds).toFixed(3)),
      falseConvictions: results.reduce((sum, result) => sum + result.falseConvictions, 0),
      nodeHours: (mean(({ simulatedMs }) => simulatedMs) * results.length * nodes) / 3_600_000,
      clusters: plan.clusters,
      simulatedSecondsEach: Math.round(mean(({ simulatedMs }) => simulatedMs) / 1_000),
    },
    detection: {
      nodes,
      victims: plan.victims * plan.clusters,
      ...detectionOf(results),
    },
  };
}

/** Percentiles of all verdicts, those that did not come included: they are later than any that did. */
function detectionOf(results: readonly Result[]): Pick<DetectionFigures, 'seconds' | 'missing'> {
  const came = results.flatMap(({ detectionMs }) => detectionMs).map((ms) => ms / 1_000);
  const missing = results.reduce((sum, result) => sum + result.missing, 0);
  const all = spreadOf([...came, ...new Array<number>(missing).fill(Number.POSITIVE_INFINITY)]);
  return { seconds: { ...all, max: Math.max(...came) }, missing };
}

async function runCluster(plan: GossipPlan, seed: number, report: Report): Promise<Result> {
  const { nodes, phiWindowSize } = plan;
  const cluster = new GossipCluster({ nodes, seed, ...(phiWindowSize && { phiWindowSize }) });
  const { time, network } = cluster;
  const roles = castRoles(cluster, plan, new SeededRandom(seed).fork('roles'));
  const verdicts = new Verdicts(cluster, roles.victims);
  let falseConvictions = 0;
  cluster.onConviction = (observer, subject) => {
    if (verdicts.note(observer, subject)) return;
    // Nobody has a right to expect a node that starts late, or to hear one whose machine vanished.
    if (roles.steady.has(subject)) falseConvictions++;
  };
  const runSeconds = async (seconds: number, what: string) => {
    const fromMs = time.nowMs;
    for (let second = 1; second <= seconds; second++) {
      report(`${what}, second ${second}/${seconds}`);
      await time.run(fromMs + second * 1_000);
    }
  };
  cluster.startAll(roles.late);
  await runSeconds(plan.settleSeconds, 'cold start');
  network.clearCounts();
  const cpuBefore = process.cpuUsage();
  await runSeconds(plan.steadySeconds, 'steady state');
  const { user, system } = process.cpuUsage(cpuBefore);
  const bytes = bytesOf(cluster);

  const { changes, starts } = spreadNews(cluster, roles, new SeededRandom(seed).fork('news'));
  verdicts.vanish();
  await runSeconds(1, 'news');
  for (let second = 1; second < LONGEST_SECONDS; second++) {
    if (changes.isDone && starts.isDone && verdicts.share >= (plan.verdictShare ?? 1)) break;
    await runSeconds(1, `${second} s after, ${verdicts.missing} verdicts to come`);
  }
  return {
    changeMs: changes.knownAfterMs(),
    startMs: starts.knownAfterMs(),
    shares: changes.shares(),
    detectionMs: verdicts.times,
    missing: verdicts.missing,
    ...bytes,
    cpuMs: (user + system) / 1_000,
    mostPeersARound: network.mostPeersARound,
    falseConvictions,
    simulatedMs: time.nowMs,
  };
}

interface Roles {
  changing: Member[];
  late: Member[];
  victims: Member[];
  /** Names of those that live from the beginning to the end. */
  steady: Set<string>;
}

/** Nobody has two roles, and seeds (the first three) have none: a cluster without a seed is another experiment. */
function castRoles(cluster: GossipCluster, plan: GossipPlan, random: SeededRandom): Roles {
  const candidates = shuffled(random, cluster.members.slice(3));
  const late = candidates.splice(0, plan.starts);
  const victims = candidates.splice(0, plan.victims);
  const changing = candidates.splice(0, plan.changes);
  const others = cluster.members.filter((member) => !late.includes(member) && !victims.includes(member));
  return { changing, late, victims, steady: new Set(others.map(({ nodeId }) => nodeId)) };
}

/** Within a second, at moments of their own: some nodes change their status, and late ones start. */
function spreadNews(cluster: GossipCluster, { changing, late }: Roles, random: SeededRandom) {
  const { time } = cluster;
  const changes = new Watch(cluster);
  const starts = new Watch(cluster);
  const someTime = () => random.between(0, GOSSIP.gossipIntervalMs);
  for (const member of changing) {
    time.after(someTime(), () => {
      member.gossiper!.declare({ status: 'recovering' });
      const isKnownBy = (by: Member) => by.gossiper!.facts(member.nodeId)?.status === 'recovering';
      changes.add(isKnownBy, [member, ...late]);
    });
  }
  for (const member of late) {
    time.after(someTime(), () => {
      cluster.start(member);
      starts.add((by) => by.gossiper!.facts(member.nodeId) !== undefined, late);
    });
  }
  return { changes, starts };
}

function bytesOf({ network: { sentBytes, receivedBytes } }: GossipCluster) {
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  const both = sentBytes.map((sent, index) => sent + receivedBytes[index]!);
  return { sent: sum(sentBytes), received: sum(receivedBytes), busiest: Math.max(...both) };
}

/** The mean of all at each check; one that is over has arrived everywhere. */
function meanCurve(all: readonly (readonly number[])[]): { rounds: number; share: number }[] {
  const checks = Math.max(...all.map((shares) => shares.length));
  return Array.from({ length: checks }, (_, check) => {
    const sum = all.reduce((total, shares) => total + (shares[check] ?? 1), 0);
    return { rounds: (check * CHECK_MS) / GOSSIP.gossipIntervalMs, share: sum / all.length };
  });
}
