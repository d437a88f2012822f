/** Starts again what ended by itself. Pure but for what it is handed. */

export interface SupervisorParts {
  /** Whom it looks after. */
  ids: readonly string[];
  isAlive(id: string): boolean;
  /** Stopped on purpose. */
  isHeld(id: string): boolean;
  /** Throws when it cannot be started. */
  launch(id: string): void;
  /** What it logged last. */
  lastLine(id: string): string;
  say(text: string): void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** Who ran so long is well: its next end is a first one. */
const WELL_MS = 60_000;

interface Record {
  /** Ends in a row. */
  ends: number;
  startedMs: number;
  /** When it may be started again. */
  dueMs: number;
  isDown: boolean;
}

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #records = new Map<string, Record>();

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Looks at all of them; to be called every second or so. */
  look(nowMs: number): void {
    for (const id of this.#parts.ids) this.#lookAt(id, nowMs);
  }

  #lookAt(id: string, nowMs: number): void {
    const { isAlive, isHeld, say, lastLine } = this.#parts;
    const record = this.#recordOf(id, nowMs);
    if (isAlive(id) || isHeld(id)) {
      record.isDown = false;
      return;
    }
    if (!record.isDown) {
      record.isDown = true;
      record.ends = nowMs - record.startedMs >= WELL_MS ? 1 : record.ends + 1;
      // The first time at once, then after 1 s, 2 s …
      const pauseMs =
        record.ends === 1 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (record.ends - 2));
      record.dueMs = nowMs + pauseMs;
      const when = pauseMs === 0 ? 'starting it again' : `starting it again in ${pauseMs / 1000} s`;
      const last = lastLine(id);
      say(`${id} has ended${last === '' ? '' : ` (it logged last: ${last})`}; ${when}`);
    }
    if (nowMs >= record.dueMs) this.#start(id, record, nowMs);
  }

  #start(id: string, record: Record, nowMs: number): void {
    record.startedMs = nowMs;
    record.isDown = false;
    try {
      this.#parts.launch(id);
    } catch (error) {
      this.#parts.say(`${id} cannot be started: ${(error as Error).message}`);
    }
  }

  #recordOf(id: string, nowMs: number): Record {
    let record = this.#records.get(id);
    if (record === undefined) {
      record = { ends: 0, startedMs: nowMs, dueMs: 0, isDown: false };
      this.#records.set(id, record);
    }
    return record;
  }
}
