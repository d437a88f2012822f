import { type Random, randomBelow } from '../../ports/random.js';

export interface Candidates {
  /** Others that are live, others that are not, and the seeds; none of them this node. */
  live: readonly string[];
  unreachable: readonly string[];
  seeds: readonly string[];
  /** Those of the unreachable that others hear. */
  returning: readonly string[];
}

/**
 * Whom to gossip with this round, at most three, as Cassandra's Gossiper chooses: a live node; with
 * probability unreachable/(live+1) an unreachable one, which heals partitions; and a seed when the live one
 * was none or fewer nodes are live than there are seeds: always without live nodes, else with probability
 * seeds/(live+unreachable), so that a few seeds of a large cluster are not flooded.
 *
 * Unlike Cassandra's, every second time the unreachable one is one that others hear, when there is such: in
 * a large cluster a restarted node would else wait for minutes until each of the others tried it again.
 */
export function chooseTargets({ live, unreachable, seeds, returning }: Candidates, random: Random): string[] {
  const targets: string[] = [];
  const add = (nodeId: string | undefined) => {
    if (nodeId !== undefined && !targets.includes(nodeId)) targets.push(nodeId);
  };
  const first = pick(live, random);
  add(first);
  if (returning.length > 0 && random.next() < 0.5) add(pick(returning, random));
  else if (random.next() < unreachable.length / (live.length + 1)) add(pick(unreachable, random));
  const seedReached = first !== undefined && seeds.includes(first);
  if (!seedReached || live.length < seeds.length) {
    const probability = live.length === 0 ? 1 : seeds.length / (live.length + unreachable.length);
    if (random.next() < probability) add(pick(seeds, random));
  }
  return targets;
}

function pick(items: readonly string[], random: Random): string | undefined {
  return items[randomBelow(random, items.length)];
}
