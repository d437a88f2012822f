import type { ConsistencyLevel } from '../proto/level.js';
import type { FlushLevels } from './levels.js';

/** The attempts to flush a series at one level. */
export interface Track {
  /** In a row. */
  failures: number;
  /** Not before this time (monotonic ms). */
  notBeforeMs: number;
  /** Sequence of the newest attempt. */
  triedAt: number;
  /** The coordinator that failed last: another one comes first. */
  avoid: string | undefined;
}

/**
 * How far a series has come, kept only while it is out of the ordinary: an attempt failed, or it is
 * acknowledged at one level and still to reach another.
 */
export interface Progress {
  /** Sequences of the newest flush that was acknowledged at the usual level, and at QUORUM. */
  usualAt: number;
  quorumAt: number;
  tracks: Map<ConsistencyLevel, Track>;
}

export function newProgress(): Progress {
  return { usualAt: 0, quorumAt: 0, tracks: new Map() };
}

/** The track of a level, made when it is not there. */
export function trackOf(progress: Progress, level: ConsistencyLevel): Track {
  let track = progress.tracks.get(level);
  if (track === undefined) {
    track = { failures: 0, notBeforeMs: 0, triedAt: 0, avoid: undefined };
    progress.tracks.set(level, track);
  }
  return track;
}

export interface Attempt {
  level: ConsistencyLevel;
  /** When it may be made (monotonic ms): now, or later. */
  dueMs: number;
}

export interface AttemptFacts {
  progress: Progress | undefined;
  /** Sequence of the first flush that can hold the newest event. */
  changedAt: number;
  /** Levels that somebody waits for. */
  claimed: ReadonlySet<ConsistencyLevel>;
  nowMs: number;
}

/**
 * The next attempt for a series. Every level that somebody waits for has
 * attempts of its own, so that one that cannot be reached (ALL while a node is down) holds up no other;
 * a level that implies all the others goes first and often spares them. Without anybody waiting it is
 * the usual level, and after that QUORUM, since only what is acknowledged there may leave memory.
 */
export function nextAttempt(
  { progress, changedAt, claimed, nowMs }: AttemptFacts,
  levels: FlushLevels,
): Attempt {
  const wanted = [...claimed];
  const usualMissing = changedAt > (progress?.usualAt ?? 0);
  if (usualMissing && !claimed.has(levels.usual)) {
    if (wanted.length === 0 || (progress?.tracks.size ?? 0) > 0) wanted.push(levels.usual);
  }
  if (wanted.length === 0) wanted.push('QUORUM');
  const strongest = wanted.findIndex((level) => wanted.every((other) => levels.implies(level, other)));
  if (strongest > 0) wanted.unshift(...wanted.splice(strongest, 1));
  let best: Attempt | undefined;
  let bestTriedAt = 0;
  for (const level of wanted) {
    const track = progress?.tracks.get(level);
    const attempt = { level, dueMs: Math.max(nowMs, track?.notBeforeMs ?? 0) };
    const triedAt = track?.triedAt ?? 0;
    if (best !== undefined && attempt.dueMs > best.dueMs) continue;
    if (best !== undefined && attempt.dueMs === best.dueMs && triedAt >= bestTriedAt) continue;
    best = attempt;
    bestTriedAt = triedAt;
  }
  return best!;
}
