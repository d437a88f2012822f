import type { Series } from '../counter/producer.js';
import { tokenOf } from '../proto/entry.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { KnownNode } from './node-table.js';
import type { Topology } from './topology.js';

/** A round of fewer cells stays with as few coordinators as it can. */
const SMALL_ROUND_CELLS = 512;

export interface RoundFacts {
  cells: number;
  /** Nodes that perhaps stall, and must not take up every request that may be in flight. */
  crowded: ReadonlySet<string>;
}

/** Chooses coordinators within one round: one per preference list, so that requests are few and large. */
export class RoundRouter {
  readonly #topology: Topology;
  readonly #facts: RoundFacts;
  /** By level and node to avoid, then by preference list. */
  readonly #chosen = new Map<string, Map<number, KnownNode | undefined>>();
  readonly #ofLevel = new Map<ConsistencyLevel, KnownNode>();

  constructor(topology: Topology, facts: RoundFacts) {
    this.#topology = topology;
    this.#facts = facts;
  }

  /** @param avoid the node that failed last for this series. */
  nodeFor(series: Series, level: ConsistencyLevel, avoid: string | undefined): KnownNode | undefined {
    series.token ??= tokenOf(series.key);
    const { index, nodeIds } = this.#topology.replicasOf(series.token);
    const wish = avoid === undefined ? level : `${level} ${avoid}`;
    let chosen = this.#chosen.get(wish);
    if (chosen === undefined) {
      chosen = new Map();
      this.#chosen.set(wish, chosen);
    }
    if (chosen.has(index)) return chosen.get(index);
    const node = this.#again(nodeIds, level, avoid) ?? this.#choose(nodeIds, level, avoid);
    chosen.set(index, node);
    if (node !== undefined) this.#ofLevel.set(level, node);
    return node;
  }

  #again(
    replicas: readonly string[],
    level: ConsistencyLevel,
    avoid: string | undefined,
  ): KnownNode | undefined {
    if (this.#facts.cells >= SMALL_ROUND_CELLS) return undefined;
    const node = this.#ofLevel.get(level);
    return node?.up && node.nodeId !== avoid && replicas.includes(node.nodeId) ? node : undefined;
  }

  #choose(
    replicas: readonly string[],
    level: ConsistencyLevel,
    avoid: string | undefined,
  ): KnownNode | undefined {
    const { crowded } = this.#facts;
    return this.#topology.choose(replicas, {
      level,
      avoid: avoid === undefined ? crowded : new Set([...crowded, avoid]),
    });
  }
}
