import type { GossipCluster, Member } from './cluster.js';

/** Times from the moment at which some machines vanish until each living node convicts each of them. */
export class Verdicts {
  readonly times: number[] = [];
  readonly #cluster: GossipCluster;
  readonly #victims: readonly Member[];
  /** Verdicts to come, as "observer>victim". */
  readonly #awaited = new Set<string>();
  #sinceMs = 0;

  constructor(cluster: GossipCluster, victims: readonly Member[]) {
    this.#cluster = cluster;
    this.#victims = victims;
  }

  get missing(): number {
    return this.#awaited.size;
  }

  /** Of all verdicts, how many have come. */
  get share(): number {
    if (this.#awaited.size === 0) return 1;
    return this.times.length / (this.times.length + this.#awaited.size);
  }

  /** Nothing is sent or answered by the victims any more, and no connection is reset: as a power cut. */
  vanish(): void {
    this.#sinceMs = this.#cluster.time.nowMs;
    for (const victim of this.#victims) victim.state = 'silent';
    const living = this.#cluster.members.filter(({ state }) => state === 'up');
    for (const { nodeId } of living) {
      for (const victim of this.#victims) this.#awaited.add(`${nodeId}>${victim.nodeId}`);
    }
  }

  /** One node convicted another. Whether that was awaited. */
  note(observer: string, subject: string): boolean {
    if (!this.#awaited.delete(`${observer}>${subject}`)) return false;
    this.times.push(this.#cluster.time.nowMs - this.#sinceMs);
    return true;
  }
}
