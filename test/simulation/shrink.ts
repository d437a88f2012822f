import { type Case, type Cut, NETWORK_FAULTS } from './case.js';
import type { Fault } from './faults.js';
import type { RunResult } from './scenario.js';

export interface ShrinkOptions {
  /** The story is wanted of the last run alone. */
  run(one: Case, story: boolean): Promise<RunResult>;
  /** Runs at most, the first included. Default 200. */
  maxRuns?: number;
  /** Told of every step that made the case smaller. */
  progress?(line: string): void;
}

export interface Shrunk {
  /** The smallest case found at which the same check fails. */
  case: Case & { schedule: readonly Fault[] };
  result: RunResult;
  /** What failed in the first run, and fails in it. */
  check: string;
  runs: number;
}

/** Cuts a failing run down; undefined when it does not fail. */
export async function shrink(one: Case, options: ShrinkOptions): Promise<Shrunk | undefined> {
  const result = await options.run(one, false);
  const check = result.violations[0]?.check;
  if (check === undefined) return undefined;
  const shrinker = new Shrinker(
    { case: { ...one, schedule: result.schedule }, result, check, runs: 1 },
    options,
  );
  await shrinker.fewerFaults();
  await shrinker.lessOfTheRest(result.config);
  await shrinker.fewerFaults();
  const { best } = shrinker;
  return { ...best, result: await options.run(best.case, true) };
}

/** Of the configuration that a seed decided: where cutting starts. */
type Start = Required<Omit<Cut, 'without' | 'limits'>>;

class Shrinker {
  best: Shrunk;
  readonly #options: ShrinkOptions;
  readonly #maxRuns: number;

  constructor(first: Shrunk, options: ShrinkOptions) {
    this.best = first;
    this.#options = options;
    this.#maxRuns = options.maxRuns ?? 200;
  }

  async fewerFaults(): Promise<void> {
    await minimize(this.best.case.schedule, (schedule) =>
      this.#try({ schedule }, `${schedule.length} faults`),
    );
  }

  async lessOfTheRest(start: Start): Promise<void> {
    for (const what of NETWORK_FAULTS) {
      const without = [...(this.best.case.cut?.without ?? []), what];
      await this.#cut({ without }, `without ${what} of messages`);
    }
    for (const who of ['plainClients', 'readers', 'registerOwners', 'sdkClients'] as const) {
      for (let left = start[who] - 1; left >= 0; left--) {
        if (!(await this.#cut({ [who]: left }, `${left} ${who}`))) break;
      }
    }
    if (start.keys > 1) await this.#cut({ keys: 1 }, '1 key');
    for (let safetyMs = start.safetyMs; safetyMs > 500; ) {
      safetyMs = Math.round(safetyMs * 0.7);
      if (!(await this.#cut({ safetyMs }, `${safetyMs} ms of faults`))) break;
    }
  }

  #cut(cut: Cut, words: string): Promise<boolean> {
    return this.#try({ cut: { ...this.best.case.cut, ...cut } }, words);
  }

  /** Whether the same check fails with this change; then it is kept. */
  async #try(change: Partial<Case>, words: string): Promise<boolean> {
    if (this.best.runs >= this.#maxRuns) return false;
    this.best.runs++;
    const smaller = { ...this.best.case, ...change };
    const result = await this.#options.run(smaller, false);
    if (!result.violations.some(({ check }) => check === this.best.check)) return false;
    this.best = { ...this.best, case: smaller, result };
    this.#options.progress?.(`run ${this.best.runs}: still fails with ${words}`);
    return true;
  }
}

/**
 * ddmin (Zeller and Hildebrandt): a list of which no element can be left out, found by leaving out halves,
 * quarters and so on. `fails` tells whether a shorter list still does it.
 */
export async function minimize<T>(
  items: readonly T[],
  fails: (fewer: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  if (items.length === 0 || (await fails([]))) return [];
  let left = items;
  let parts = Math.min(2, left.length);
  while (left.length > 1) {
    const size = Math.ceil(left.length / parts);
    let smaller: readonly T[] | undefined;
    for (let from = 0; from < left.length && smaller === undefined; from += size) {
      const others = [...left.slice(0, from), ...left.slice(from + size)];
      if (await fails(others)) smaller = others;
    }
    if (smaller !== undefined) {
      left = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) {
      break;
    } else {
      parts = Math.min(left.length, parts * 2);
    }
  }
  return left;
}
