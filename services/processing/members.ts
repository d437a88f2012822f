import { Packr } from 'msgpackr';
import { TallyringError } from '../../proto/errors.js';

/** One processing instance as the others know it. */
export interface Member {
  name: string;
  /** Of this process: another one of the same name has another. */
  incarnation: string;
  /** Grows while it lives. */
  beat: number;
  /** Where its HTTP answers, for people. */
  address: string;
}

const FORMAT = 1;
const packr = new Packr({ useRecords: false });

export function encodeMembers(members: readonly Member[]): Buffer {
  return packr.pack([
    FORMAT,
    members.map(({ name, incarnation, beat, address }) => [name, incarnation, beat, address]),
  ]);
}

/** Throws DATA_LOSS for what is none. */
export function decodeMembers(value: Buffer | null): Member[] {
  if (value === null) return [];
  const fields: unknown = packr.unpack(value);
  if (!Array.isArray(fields) || fields[0] !== FORMAT || !Array.isArray(fields[1])) {
    throw new TallyringError('DATA_LOSS', 'the register of processing instances holds something else');
  }
  return (fields[1] as [string, string, number, string][]).map(([name, incarnation, beat, address]) => ({
    ...{ name, incarnation, beat, address },
  }));
}

/** Who lives: by beats that this process saw grow, on its own monotonic clock. */
export class MemberWatch {
  readonly #deadAfterMs: number;
  readonly #seen = new Map<string, { beat: number; atMs: number }>();

  constructor(deadAfterMs: number) {
    this.#deadAfterMs = deadAfterMs;
  }

  /** Those of the members that live, as far as is known: who was never seen before may live. */
  observe(members: readonly Member[], nowMs: number): Member[] {
    const ids = new Set(members.map(idOf));
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id);
    return members.filter((member) => {
      const id = idOf(member);
      const seen = this.#seen.get(id);
      if (seen === undefined || seen.beat !== member.beat) {
        this.#seen.set(id, { beat: member.beat, atMs: nowMs });
        return true;
      }
      return nowMs - seen.atMs < this.#deadAfterMs;
    });
  }
}

function idOf({ name, incarnation }: Member): string {
  return `${name} ${incarnation}`;
}

/**
 * Who is to own which partitions: as even as can be, the same for everybody who knows the same names, and with
 * few moves when one comes or goes (highest random weight, Thaler and Ravishankar 1998, with a bound).
 *
 * @param weight of a partition at a name: any fixed hash of both.
 */
export function assign(
  partitions: number,
  names: readonly string[],
  weight: (partition: number, name: string) => bigint,
): Map<string, number[]> {
  const assigned = new Map<string, number[]>([...names].sort().map((name) => [name, []]));
  const most = Math.ceil(partitions / Math.max(1, names.length));
  let roomy = partitions - Math.floor(partitions / Math.max(1, names.length)) * names.length;
  const least = Math.floor(partitions / Math.max(1, names.length));
  for (let partition = 0; partition < partitions; partition++) {
    let best: string | undefined;
    let bestWeight = -1n;
    for (const [name, own] of assigned) {
      // So many take one more than the others; then all are full at the lower number.
      const limit = roomy > 0 ? most : least;
      const here = weight(partition, name);
      if (own.length < limit && here > bestWeight) [best, bestWeight] = [name, here];
    }
    if (best === undefined) break;
    const own = assigned.get(best)!;
    own.push(partition);
    if (own.length > least) roomy--;
  }
  return assigned;
}
