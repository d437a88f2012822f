import type { Link, PartitionShape } from './faults.js';
import type { SeededRandom } from './seeded-random.js';

/** Who is there: clients may be on a side as well. */
export interface Names {
  nodes: readonly string[];
  clients: readonly string[];
}

/** The links that a partition of this shape cuts. Clients may still reach a node that the others do not. */
export function drawLinks(shape: PartitionShape, names: Names, random: SeededRandom): Link[] {
  switch (shape) {
    case 'isolate one':
      return linksAround(random.pick(names.nodes), random.chance(0.5) ? all(names) : names.nodes);
    case 'halves':
      return between(...sidesOf(all(names), random), true);
    case 'one-way':
      return between(...sidesOf(all(names), random), false);
    case 'majority ring':
      return majorityRing(shuffled(names.nodes, random));
    case 'bridge': {
      const [, ...others] = shuffled(names.nodes, random);
      const middle = Math.ceil(others.length / 2);
      return between(others.slice(0, middle), others.slice(middle), true);
    }
    case 'single links':
      return shuffled(pairsOf(all(names)), random).slice(0, 1 + random.below(3));
  }
}

/** Both directions of all links of one machine. */
export function linksAround(name: string, names: readonly string[]): Link[] {
  return between(
    [name],
    names.filter((other) => other !== name),
    true,
  );
}

const all = ({ nodes, clients }: Names): string[] => [...nodes, ...clients];

function between(left: readonly string[], right: readonly string[], bothWays: boolean): Link[] {
  const links: Link[] = [];
  for (const from of left) {
    for (const to of right) {
      links.push([from, to]);
      if (bothWays) links.push([to, from]);
    }
  }
  return links;
}

/**
 * In a ring each node sees as many neighbours as make a majority with it. Of three nodes that would be all,
 * so there each hears one of the two others only.
 */
function majorityRing(ring: readonly string[]): Link[] {
  const majority = Math.floor(ring.length / 2) + 1;
  const reach = Math.ceil((majority - 1) / 2);
  return pairsOf(ring).filter(([from, to]) => {
    const steps = (ring.indexOf(to) - ring.indexOf(from) + ring.length) % ring.length;
    return ring.length <= 3 ? steps === 1 : Math.min(steps, ring.length - steps) > reach;
  });
}

function sidesOf(names: readonly string[], random: SeededRandom): [string[], string[]] {
  const order = shuffled(names, random);
  const size = 1 + random.below(order.length - 1);
  return [order.slice(0, size), order.slice(size)];
}

function pairsOf(names: readonly string[]): Link[] {
  return names.flatMap((from) => names.filter((to) => to !== from).map((to): Link => [from, to]));
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.below(left.length), 1));
  return order;
}
