import type { GossipCluster, Member } from './cluster.js';

/** How often it is asked who knows: times are read to this, so never told too early. */
export const CHECK_MS = 100;

/** A fact that spreads. */
interface News {
  isKnownBy(member: Member): boolean;
  sinceMs: number;
  ignorant: Member[];
  audience: number;
  knownAfterMs: number | undefined;
  /** Share of the audience that knew at each check. */
  shares: number[];
}

/** Watches facts spread until every living node knows them. */
export class Watch {
  readonly #cluster: GossipCluster;
  readonly #news: News[] = [];

  constructor(cluster: GossipCluster) {
    this.#cluster = cluster;
  }

  /** From now on, until all that are up and not among `except` know it. */
  add(isKnownBy: (member: Member) => boolean, except: readonly Member[]): void {
    const ignorant = this.#cluster.members.filter(
      (member) => member.state === 'up' && !except.includes(member),
    );
    const news: News = {
      isKnownBy,
      sinceMs: this.#cluster.time.nowMs,
      ignorant,
      audience: ignorant.length,
      knownAfterMs: undefined,
      shares: [0],
    };
    this.#news.push(news);
    this.#cluster.time.after(CHECK_MS, () => this.#check(news));
  }

  get isDone(): boolean {
    return this.#news.every(({ knownAfterMs }) => knownAfterMs !== undefined);
  }

  /** Throws when one has not arrived everywhere. */
  knownAfterMs(): number[] {
    return this.#news.map(({ knownAfterMs, ignorant }) => {
      if (knownAfterMs === undefined) throw new Error(`${ignorant.length} nodes never heard of a fact`);
      return knownAfterMs;
    });
  }

  /** Share of the audience that knew at each check, of each fact. */
  shares(): readonly (readonly number[])[] {
    return this.#news.map(({ shares }) => shares);
  }

  #check(news: News): void {
    const { time } = this.#cluster;
    news.ignorant = news.ignorant.filter((member) => member.state === 'up' && !news.isKnownBy(member));
    news.shares.push(1 - news.ignorant.length / news.audience);
    if (news.ignorant.length === 0) news.knownAfterMs = time.nowMs - news.sinceMs;
    else time.after(CHECK_MS, () => this.#check(news));
  }
}
