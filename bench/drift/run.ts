import { type Calls, compare, type Drift } from './comparison.js';
import { feed } from './feed.js';
import { type Kill, Killing } from './kills.js';
import type { Contestant, CountedEvent, Counting, System } from './system.js';

const RETRY_PAUSE_MS = 100;
/** An event that cannot be counted for so long ends the run. */
const GIVE_UP_MS = 120_000;

export interface Load {
  events: readonly CountedEvent[];
  /** Computed apart: events by name. */
  truth: ReadonlyMap<string, number>;
  kills: readonly Kill[];
  seconds: number;
  inFlight: number;
}

export interface Outcome {
  contestant: Contestant;
  kills: number;
  /** Until the last event was answered. */
  tookSeconds: number;
  calls: Calls;
  /** Failed calls by what they said. */
  failures: Map<string, number>;
  drift: Drift;
}

/** Whether the system kept what it promises; a peer's word is its answers'. */
export function isKept({ contestant, drift }: Pick<Outcome, 'contestant' | 'drift'>): boolean {
  const isWithin = drift.outsideAnswers.events === 0;
  if (contestant.promise !== 'exact') return isWithin;
  return isWithin && drift.tooMany.events === 0 && drift.lost.events === 0;
}

/** Feeds one contestant all events while nodes are killed, then compares every key. */
export async function runContestant(
  contestant: Contestant,
  system: System,
  { load, progress }: { load: Load; progress(text: string): void },
): Promise<Outcome> {
  progress('connecting');
  const counting = await contestant.open();
  const ledger = new Ledger();
  const killing = new Killing(system, load.kills);
  const startMs = performance.now();
  const show = () => {
    const { acknowledged, failed } = ledger;
    const done = `${acknowledged.toLocaleString('en')} of ${load.events.length.toLocaleString('en')} events`;
    progress(
      `${done}, ${failed} failed calls; kill ${killing.killed}/${load.kills.length}, ${killing.state}`,
    );
  };
  const ticking = setInterval(show, 200);
  try {
    await feed({
      ...load,
      before: (index) => killing.before(index),
      send: (event) => countOne(counting, event, { ledger, retries: contestant.retries }),
    });
    const tookSeconds = (performance.now() - startMs) / 1_000;
    await killing.allBack();
    clearInterval(ticking);
    progress('settling');
    await counting.settle();
    const found = await counting.totals([...load.truth.keys()]);
    const drift = compare(load.truth, ledger.byName, found);
    const { calls, failures } = ledger;
    return { contestant, kills: killing.killed, tookSeconds, calls, failures, drift };
  } finally {
    clearInterval(ticking);
    await counting.close();
  }
}

interface CountRules {
  ledger: Ledger;
  retries: boolean;
}

async function countOne(
  counting: Counting,
  event: CountedEvent,
  { ledger, retries }: CountRules,
): Promise<void> {
  const giveUpMs = performance.now() + GIVE_UP_MS;
  for (;;) {
    const outcome = await counting.count(event);
    ledger.note(event.name, outcome === 'acknowledged' ? undefined : outcome);
    if (outcome === 'acknowledged' || !retries) return;
    if (performance.now() > giveUpMs)
      throw new Error(`${event.name} fails again and again: ${outcome.failure}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
  }
}

/** What every call was answered. */
class Ledger {
  readonly calls: Calls = { acknowledged: 0, refused: 0, inDoubt: 0 };
  readonly byName = new Map<string, Calls>();
  readonly failures = new Map<string, number>();

  get acknowledged(): number {
    return this.calls.acknowledged;
  }

  get failed(): number {
    return this.calls.refused + this.calls.inDoubt;
  }

  note(name: string, failed: { failure: string; isRefused: boolean } | undefined): void {
    const ofName = this.byName.get(name) ?? { acknowledged: 0, refused: 0, inDoubt: 0 };
    this.byName.set(name, ofName);
    const kind = failed === undefined ? 'acknowledged' : failed.isRefused ? 'refused' : 'inDoubt';
    ofName[kind]++;
    this.calls[kind]++;
    if (failed) this.failures.set(failed.failure, (this.failures.get(failed.failure) ?? 0) + 1);
  }
}
