import type { Clock } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';
import type { RegisterValue } from '../register.js';
import { decodeCheckpoint } from './checkpoint.js';

export interface StandbyParts {
  clock: Clock;
  random: Random;
  /** How long the record must stand still at first. */
  takeOverAfterMs: number;
  /** Of this candidate: a record of this name that it finds at its first look is a dead predecessor's. */
  name: string;
}

const MOST_DOUBLINGS = 3;

/**
 * When a candidate may take over (DESIGN §10): at once what nobody owns; else after the record stood still for a
 * randomized time, which doubles with every take-over that was undone soon, so that candidates do not fence each other
 * for ever.
 */
export class Standby {
  readonly #parts: StandbyParts;
  #seen: RegisterValue | undefined;
  #sinceMs = 0;
  #patienceMs = 0;
  #failures = 0;
  #isFirstLook = true;

  constructor(parts: StandbyParts) {
    this.#parts = parts;
  }

  /**
   * Whether to acquire, now that this stood in the register when a read that began at `beganMs` was answered: its
   * answer may have been long on its way, so it tells of no later time.
   */
  observe(now: RegisterValue | undefined, beganMs: number): boolean {
    const owner = ownerOf(now);
    const isPredecessors = this.#isFirstLook && owner === this.#parts.name;
    this.#isFirstLook = false;
    if (now === undefined || owner === '' || isPredecessors) return true;
    const nowMs = this.#parts.clock.monotonicMs();
    const seen = this.#seen;
    const isSame = seen !== undefined && seen.epoch === now.epoch && seen.value?.equals(now.value!);
    if (!isSame) {
      this.#seen = now;
      this.#sinceMs = nowMs;
      const { takeOverAfterMs, random } = this.#parts;
      this.#patienceMs =
        takeOverAfterMs * 2 ** Math.min(this.#failures, MOST_DOUBLINGS) * (1 + random.next());
    }
    return beganMs - this.#sinceMs >= this.#patienceMs;
  }

  /** This candidate was owner for so long, until another one took over. */
  fenced(ownedMs: number): void {
    this.#failures = ownedMs < 2 * this.#parts.takeOverAfterMs ? this.#failures + 1 : 0;
    this.#seen = undefined;
  }
}

/** Empty: nobody. */
function ownerOf(now: RegisterValue | undefined): string {
  return now?.value == null ? '' : decodeCheckpoint(now.value).owner;
}
