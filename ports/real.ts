import { randomBytes } from 'node:crypto';
import type { Clock, Timers } from './clock.js';
import type { Random } from './random.js';

export const realClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

export const realTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const realRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => randomBytes(length),
};
