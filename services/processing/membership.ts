import type { Register } from '../../client/register.js';
import type { Clock } from '../../ports/clock.js';
import { TallyringError } from '../../proto/errors.js';
import { decodeMembers, encodeMembers, type Member, MemberWatch } from './members.js';

export interface MembershipParts {
  register: Register;
  clock: Clock;
  me: Omit<Member, 'beat'>;
  /** Who does not beat for so long is dead to this process. */
  deadAfterMs: number;
  /** Of one call. */
  timeoutMs: number;
}

/** Most instances of one pipeline: their register has room for them. */
const MAX_MEMBERS = 64;

/**
 * The instances that share a pipeline's partitions: a list in a quorum register, which each of them acquires now
 * and then to note that it lives and to drop who does not. It only says who should own what; that nobody counts
 * beside an owner is up to the checkpoint registers.
 */
export class Membership {
  readonly #parts: MembershipParts;
  readonly #watch: MemberWatch;
  /** A namesake at our own address, which this process listens on, need not be waited for as long. */
  readonly #predecessors: MemberWatch;
  #beat = 0;
  #live: Member[] = [];

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#watch = new MemberWatch(parts.deadAfterMs);
    this.#predecessors = new MemberWatch(parts.deadAfterMs / 2);
  }

  /** As of the newest beat. */
  get live(): readonly Member[] {
    return this.#live;
  }

  /**
   * Notes that this instance lives. Throws FAILED_PRECONDITION while another live one has its name, and whatever
   * the register throws.
   */
  async beat(): Promise<readonly Member[]> {
    const { me, clock } = this.#parts;
    this.#live = await this.#change((members) => {
      const nowMs = clock.monotonicMs();
      const silent = new Set(members);
      for (const member of this.#predecessors.observe(members, nowMs)) silent.delete(member);
      const isPredecessor = (member: Member) =>
        member.name === me.name && member.address === me.address && silent.has(member);
      const others = this.#watch
        .observe(members, nowMs)
        .filter((member) => member.incarnation !== me.incarnation && !isPredecessor(member));
      const namesake = others.find(({ name }) => name === me.name);
      if (namesake !== undefined) {
        throw new TallyringError(
          'FAILED_PRECONDITION',
          `an instance named ${me.name} runs already (${namesake.address}), or died a moment ago: this one waits until that one is gone; two that are to run at once need a name each`,
          { retryable: true },
        );
      }
      if (others.length >= MAX_MEMBERS) {
        throw new TallyringError('OVERLOADED', `${others.length} instances share this pipeline already`);
      }
      return [...others, { ...me, beat: ++this.#beat }];
    });
    return this.#live;
  }

  /** Says that this instance ends, so that the others need not wait. */
  async leave(): Promise<void> {
    const { incarnation } = this.#parts.me;
    await this.#change((members) => members.filter((member) => member.incarnation !== incarnation));
  }

  async #change(change: (members: Member[]) => Member[]): Promise<Member[]> {
    const { register, timeoutMs } = this.#parts;
    const owner = await register.acquire({ timeoutMs });
    const changed = change(decodeMembers(owner.value));
    await owner.write(encodeMembers(changed), { timeoutMs });
    return changed;
  }
}
