/**
 * An open loop: requests are due at fixed times whatever became of the earlier ones. A latency is measured from
 * the time a request was *due*, so a stall counts against every request that it held up (no coordinated omission).
 */
export interface Schedule {
  startMs: number;
  perSecond: number;
}

/** How many requests are due by `nowMs`, the first one at the start itself. */
export function dueBy(schedule: Schedule, nowMs: number): number {
  if (nowMs < schedule.startMs) return 0;
  return Math.floor(((nowMs - schedule.startMs) * schedule.perSecond) / 1000) + 1;
}

/** When request `index` (from 0) is due. */
export function dueAtMs(schedule: Schedule, index: number): number {
  return schedule.startMs + (index * 1000) / schedule.perSecond;
}

/** How long to sleep until request `index` is due: 1 ms at least, so that answers are seen meanwhile. */
export function msUntilDue(schedule: Schedule, index: number, nowMs: number): number {
  return Math.max(1, dueAtMs(schedule, index) - nowMs);
}
