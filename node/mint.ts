import type { Clock } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { TallyringError } from '../proto/errors.js';
import { type ProducerKind, producerKindByte } from '../proto/producer-kind.js';
import type { Membership } from './gossip/membership.js';

const ID_BYTES = 16;
const TIME_BYTES = 6;
/** In the year 5314: more than half of what the time part can say is left to go on from there. */
const LAST_TIME_MS = 2 ** 47 - 2 ** 45;
const MAX_CLOCK_SKEW_MS = 3_600_000;

/** Milliseconds since the epoch in a producerId's time part. */
export function timeOfProducerId(id: Buffer): number {
  return id.readUIntBE(0, TIME_BYTES);
}

/** Ids above one of the far future would bring this node's own there, until there is none above. */
function checkedTimeOf(above: Buffer): number {
  const timeMs = above.length === ID_BYTES ? timeOfProducerId(above) : Number.NaN;
  if (timeMs <= LAST_TIME_MS) return timeMs;
  throw new TallyringError('INVALID_ARGUMENT', 'above is not a producerId that a node minted');
}

export interface MintParts {
  clock: Clock;
  random: Random;
  membership: Pick<Membership, 'endpoints' | 'isLive'>;
}

/**
 * Mints producerIds: 16 bytes in the layout of UUIDv7 (RFC 9562), time first, so later ids are greater; the
 * two bits behind the version say the producer's kind, the rest is random.
 */
export class Mint {
  readonly #parts: MintParts;
  #lastMs = 0;

  constructor(parts: MintParts) {
    this.#parts = parts;
  }

  /**
   * A new id whose time part is greater than that of `above` and of all that were minted here before. Throws
   * FAILED_PRECONDITION while this node's clock is more than an hour from the others', INVALID_ARGUMENT for an
   * `above` that no node has minted.
   */
  mint(kind: ProducerKind, above: Buffer | undefined): Buffer {
    this.#refuseWrongClock();
    const { clock, random } = this.#parts;
    const aboveMs = above === undefined ? 0 : checkedTimeOf(above);
    const timeMs = Math.max(clock.wallMs(), aboveMs + 1, this.#lastMs + 1);
    this.#lastMs = timeMs;
    const id = random.bytes(ID_BYTES);
    id.writeUIntBE(timeMs, 0, TIME_BYTES);
    id[6] = producerKindByte(kind, id[6]!);
    id[8] = 0x80 | (id[8]! & 0x3f);
    return id;
  }

  #refuseWrongClock(): void {
    const { clock, membership } = this.#parts;
    const clocks = membership
      .endpoints()
      .filter(({ nodeId, facts }) => membership.isLive(nodeId) && facts.wallMs !== undefined)
      .map(({ facts }) => facts.wallMs!)
      .sort((a, b) => a - b);
    const median = clocks[Math.floor(clocks.length / 2)];
    if (median === undefined || Math.abs(clock.wallMs() - median) <= MAX_CLOCK_SKEW_MS) return;
    throw new TallyringError(
      'FAILED_PRECONDITION',
      'the clock of this node is more than an hour from the other nodes: it mints no producerId until its clock is set',
      { retryable: true },
    );
  }
}
