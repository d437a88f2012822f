import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { statFields } from './state-folder.js';

const ATTEMPTS = 10;
/** The kernel takes one such change in a tenth of a second from all users without privileges together. */
const AGAIN_MS = 150;
/** Of `statFields`. */
const SESSION_FIELD = 3;

/**
 * Lets the other processes of the machine go first: this one's work can wait, as `nice` has it.
 *
 * Where Linux groups processes by session (sched_autogroup_enabled, the default of most distributions) `nice`
 * weighs a process against those of its own session only, and sessions share the CPU evenly (sched(7)). A part that
 * `tallyring start` launches leads a session of its own, so that has to be nice as well. A session that it only
 * belongs to, such as a terminal's, is not its to change.
 */
export function lowerPriority(niceness: number): void {
  setPriority(niceness);
  const leadsSession = statFields(process.pid)?.[SESSION_FIELD] === String(process.pid);
  if (leadsSession) lowerSession(niceness, ATTEMPTS);
}

function lowerSession(niceness: number, attempts: number): void {
  try {
    // Not made when it is missing: then this kernel does not group by session.
    writeFileSync('/proc/self/autogroup', String(niceness), { flag: 'r+' });
  } catch (error) {
    const isBusy = (error as NodeJS.ErrnoException).code === 'EAGAIN';
    if (isBusy && attempts > 1) setTimeout(() => lowerSession(niceness, attempts - 1), AGAIN_MS).unref();
  }
}
