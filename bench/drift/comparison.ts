/** What the answers of a key's calls said, one count each. */
export interface Calls {
  acknowledged: number;
  /** Failed, with the system's word that nothing was applied. */
  refused: number;
  /** Failed, and may have been applied. */
  inDoubt: number;
}

export interface Off {
  events: number;
  keys: number;
}

/** A system's totals beside the truth, and beside its own answers. */
export interface Drift {
  /** Above the truth: counted twice, or from nowhere. */
  tooMany: Off;
  /** Below the truth. */
  lost: Off;
  /** Counted beyond what was acknowledged: by calls that had failed. */
  appliedAfterAll: number;
  /** Fewer than acknowledged, or more than acknowledged and in doubt together: no answer allows that. */
  outsideAnswers: Off;
}

const NO_CALLS: Calls = { acknowledged: 0, refused: 0, inDoubt: 0 };

/** Compares each key's total with the truth; keys that only one of them has are compared with 0. */
export function compare(
  truth: ReadonlyMap<string, number>,
  calls: ReadonlyMap<string, Calls>,
  found: ReadonlyMap<string, number>,
): Drift {
  const drift: Drift = {
    tooMany: { events: 0, keys: 0 },
    lost: { events: 0, keys: 0 },
    appliedAfterAll: 0,
    outsideAnswers: { events: 0, keys: 0 },
  };
  for (const key of new Set([...truth.keys(), ...calls.keys(), ...found.keys()])) {
    const expected = truth.get(key) ?? 0;
    const total = found.get(key) ?? 0;
    const { acknowledged, inDoubt } = calls.get(key) ?? NO_CALLS;
    note(drift.tooMany, total - expected);
    note(drift.lost, expected - total);
    note(drift.outsideAnswers, acknowledged - total);
    note(drift.outsideAnswers, total - acknowledged - inDoubt);
    drift.appliedAfterAll += Math.max(0, total - acknowledged);
  }
  return drift;
}

function note(off: Off, events: number): void {
  if (events <= 0) return;
  off.events += events;
  off.keys++;
}
