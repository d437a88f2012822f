import type { Environment } from './environment.js';
import { formatCount, formatDuration } from './format.js';

export interface ProgressState {
  events: number;
  rejected: number;
  /** What else there is to say. */
  more?: readonly string[];
  elapsedMs: number;
  /** How much of it all is done, in whatever unit; absent where nobody knows. */
  done?: { part: number; of: number } | undefined;
}

const BAR_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 2_000;
const BAR_WIDTH = 24;

/** A bar that repaints itself on a terminal, a line every two seconds elsewhere; to standard error. */
export interface Progress {
  /** Cheap: draws only when it is time. */
  update(state: ProgressState): void;
  /** A line of its own, without tearing the bar. */
  note(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

/** `noun`: what is counted; `label`: who speaks, where lines stand among others. */
export function createProgress(
  environment: Environment,
  { noun = 'events', label = '' }: { noun?: string; label?: string } = {},
): Progress {
  const { stderr } = environment;
  const start = label === '' ? '' : `${label}: `;
  const interval = stderr.isTty ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
  const erase = stderr.isTty ? '\r\u001b[K' : '';
  let nextMs = interval;
  let speed = { events: 0, atMs: 0, perSecond: 0 };
  return {
    update(state) {
      if (state.elapsedMs < nextMs) return;
      nextMs = state.elapsedMs + interval;
      if (state.elapsedMs - speed.atMs >= 1_000) {
        const perSecond = ((state.events - speed.events) / (state.elapsedMs - speed.atMs)) * 1000;
        speed = { events: state.events, atMs: state.elapsedMs, perSecond };
      }
      const rate = speed.atMs === 0 ? (state.events / state.elapsedMs) * 1000 : speed.perSecond;
      void stderr.write(
        stderr.isTty
          ? `${erase}${progressText(state, rate, { noun, barWidth: BAR_WIDTH }).slice(0, stderr.columns - 1)}`
          : `${start}${progressText(state, rate, { noun, barWidth: 0 })}\n`,
      );
    },
    note(text) {
      void stderr.write(`${erase}${text}\n`);
    },
    end() {
      if (erase !== '') void stderr.write(erase);
    },
  };
}

export function progressText(
  state: ProgressState,
  perSecond: number,
  look: { noun: string; barWidth: number },
): string {
  const { noun, barWidth } = look;
  const { done, events, rejected, elapsedMs, more = [] } = state;
  const parts = [`${formatCount(events)} ${noun}`, `${formatCount(Math.round(perSecond))}/s`];
  if (rejected > 0) parts.push(`${formatCount(rejected)} rejected`);
  parts.push(...more);
  if (done === undefined || done.of === 0) return [...parts, formatDuration(elapsedMs)].join('  ');
  const share = Math.min(1, done.part / done.of);
  parts.push(`${Math.floor(share * 100)} %`);
  parts.push(share > 0 ? `ETA ${formatDuration((elapsedMs * (1 - share)) / share)}` : 'ETA ?');
  const full = Math.round(share * barWidth);
  const bar = barWidth === 0 ? '' : `[${'█'.repeat(full)}${' '.repeat(barWidth - full)}] `;
  return bar + parts.join('  ');
}
