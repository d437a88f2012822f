/** A node as routing sees it. */
export interface Candidate {
  readonly nodeId: string;
  readonly datacenter: string;
  /** Answers, as far as this client knows. */
  readonly up: boolean;
}

export interface RouteWish {
  /** The key's preference list: a replica saves a hop. */
  replicas: readonly string[];
  localDatacenter: string;
  /** Nothing but the local datacenter will do (LOCAL_ levels). */
  localOnly?: boolean;
  /** Nodes that just failed for this: asked last. */
  avoid?: ReadonlySet<string> | undefined;
  /** Nodes that are not to be asked at all. */
  except?: ReadonlySet<string> | undefined;
}

const TIERS = 16;

/** 0 is best: up, not to be avoided, replica, local; in this order of weight. */
function tierOf(node: Candidate, wish: RouteWish): number {
  return (
    (node.up ? 0 : 8) +
    (wish.avoid?.has(node.nodeId) ? 4 : 0) +
    (wish.replicas.includes(node.nodeId) ? 0 : 2) +
    (node.datacenter === wish.localDatacenter ? 0 : 1)
  );
}

/**
 * The coordinator for a request: the best that there is, equals taken in turn (`turn` is a counter that the
 * caller raises). Undefined when no node may be asked.
 */
export function chooseCoordinator<C extends Candidate>(
  nodes: Iterable<C>,
  wish: RouteWish,
  turn: number,
): C | undefined {
  let best: C[] = [];
  let bestTier = TIERS;
  for (const node of nodes) {
    if (wish.except?.has(node.nodeId)) continue;
    if (wish.localOnly && node.datacenter !== wish.localDatacenter) continue;
    const tier = tierOf(node, wish);
    if (tier > bestTier) continue;
    if (tier < bestTier) {
      bestTier = tier;
      best = [];
    }
    best.push(node);
  }
  return best[turn % Math.max(1, best.length)];
}
