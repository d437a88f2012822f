import { TallyringError } from '../../proto/errors.js';
import type { WaitLimits } from '../ports.js';
import type { Checkpoint } from './checkpoint.js';
import type { LogSource } from './source.js';

/**
 * Throws FAILED_PRECONDITION when the newest record that was counted is another one now: the log was cut, and
 * took records again at offsets that are counted. `checkLog` cannot see it once it is long enough again.
 */
export async function checkMark<R>(
  source: LogSource<R>,
  { mark }: Checkpoint,
  options: WaitLimits,
): Promise<void> {
  if (mark === undefined || source.digest === undefined) return;
  const { offset, digest } = mark;
  const { start } = await source.bounds(options);
  if (offset < start) return; // trimmed since: it was counted long ago
  const { records } = await source.read(offset, { ...options, waitMs: 0 });
  const found = records.find((one) => one.offset === offset);
  if (found !== undefined && source.digest(found.record) === digest) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `the log's record ${offset} is not the one that was counted: the log was cut or restored from a copy, and took ` +
      'events again since. Bring the whole log back; if it is lost, start an empty one and count that under another ' +
      'pipeline name, and send the events of this one to it again',
  );
}
