import type { Series } from '../counter/producer.js';
import type { OwnSeries } from '../counter/series.js';
import type { Random } from '../ports/random.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { backoffMs } from './backoff.js';
import type { Claims } from './claims.js';
import type { FlushLevels } from './levels.js';
import { type Attempt, newProgress, nextAttempt, type Progress, type Track, trackOf } from './progress.js';

/** What was acknowledged below QUORUM, and nobody waits for, reaches QUORUM after so long. */
const TOP_UP_DELAY_MS = 1_000;

/** An attempt whose outcome is known. */
export interface Attempted {
  sequence: number;
  level: ConsistencyLevel;
  nodeId: string | undefined;
}

/** The progress of every series that is out of the ordinary; the others are not in it and cost nothing. */
export class ProgressBook {
  readonly #bySeries = new Map<Series, Progress>();
  readonly #claims: Claims;
  readonly #levels: FlushLevels;
  readonly #random: Random;

  constructor(parts: { claims: Claims; levels: FlushLevels; random: Random }) {
    this.#claims = parts.claims;
    this.#levels = parts.levels;
    this.#random = parts.random;
  }

  /** Whether every series is to be flushed at the usual level, now. */
  get isOrdinary(): boolean {
    return this.#bySeries.size === 0 && this.#claims.count === 0;
  }

  /** The next attempt of a series. Undefined for the ordinary: the usual level, now. */
  attemptFor(series: Series, nowMs: number): Attempt | undefined {
    const progress = this.#bySeries.get(series);
    const claimed = this.#claims.levelsOf(series);
    if (progress === undefined && claimed.size === 0) return undefined;
    const { changedAt } = series as OwnSeries;
    return nextAttempt({ progress, changedAt, claimed, nowMs }, this.#levels);
  }

  track(series: Series, level: ConsistencyLevel): Track | undefined {
    return this.#bySeries.get(series)?.tracks.get(level);
  }

  /** Whether something was added that is not acknowledged at the usual level. */
  isBehind(series: Series): boolean {
    return (this.#bySeries.get(series)?.usualAt ?? 0) < (series as OwnSeries).changedAt;
  }

  /** These series failed together; they come back together, so that they share a request again. */
  failed(series: Iterable<Series>, attempted: Attempted, nowMs: number): void {
    const delays = new Map<number, number>();
    for (const each of series) {
      // A newer flush of this series is under way: it holds the same and decides.
      if ((each as OwnSeries).takenAt !== attempted.sequence) continue;
      const track = trackOf(this.#open(each), attempted.level);
      track.failures++;
      track.triedAt = attempted.sequence;
      track.avoid = attempted.nodeId;
      const delayMs = delays.get(track.failures) ?? backoffMs(track.failures, this.#random);
      delays.set(track.failures, delayMs);
      track.notBeforeMs = nowMs + delayMs;
    }
  }

  /** A series was acknowledged. Returns whether it needs nothing more of this flush, at any level. */
  acknowledged(series: Series, { sequence, level }: Attempted, nowMs: number): boolean {
    this.#claims.acknowledge(series, sequence, level);
    const usual = this.#levels.implies(level, this.#levels.usual);
    const quorum = this.#levels.implies(level, 'QUORUM');
    const claimed = this.#claims.count > 0 && this.#claims.levelsOf(series, sequence).size > 0;
    if (!this.#bySeries.has(series)) {
      if (usual && quorum && !claimed) return true;
      // A newer flush of this series is under way, or is done: it holds the same and decides.
      if ((series as OwnSeries).takenAt !== sequence) return false;
    }
    const progress = this.#open(series);
    progress.tracks.delete(level);
    if (usual) progress.usualAt = Math.max(progress.usualAt, sequence);
    if (quorum) progress.quorumAt = Math.max(progress.quorumAt, sequence);
    // A later flush of what did not change holds the same: two levels may be reached by two flushes.
    const newest = Math.min(sequence, (series as OwnSeries).changedAt);
    if (claimed || progress.usualAt < newest) return false;
    if (progress.quorumAt >= newest) {
      if ((series as OwnSeries).takenAt === sequence) this.#bySeries.delete(series);
      return true;
    }
    if (!progress.tracks.has('QUORUM')) {
      trackOf(progress, 'QUORUM').notBeforeMs = nowMs + TOP_UP_DELAY_MS;
    }
    return false;
  }

  #open(series: Series): Progress {
    let progress = this.#bySeries.get(series);
    if (progress === undefined) {
      progress = newProgress();
      this.#bySeries.set(series, progress);
    }
    return progress;
  }
}
