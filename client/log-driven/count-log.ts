import { checkKey } from '../../counter/validate.js';
import { TallyringError } from '../../proto/errors.js';
import type { ClientParts } from '../parts.js';
import { Register } from '../register.js';
import { ClusterStore } from './cluster-store.js';
import { LogCounter } from './log-counter.js';
import { type LogDrivenLimits, logDrivenLimits } from './options.js';
import type { CountingRule, LogSource } from './source.js';

export interface CountLogOptions<R> extends Partial<LogDrivenLimits> {
  /** When within flushIntervalMs it flushes: a share of it, in [0, 1). By chance when absent. */
  phase?: number | undefined;
  /**
   * Of the checkpoint: whoever counts the same partition gives the same one, and nobody else. With it the counting
   * goes on where it was.
   */
  checkpoint: string;
  source: LogSource<R>;
  rule: CountingRule<R>;
  /**
   * Who this process is, in words for status. Unlike that of any other that lives: one that starts under the name of
   * the owner takes that for its dead predecessor.
   */
  name: string;
}

/** A counter of a log over a client's connections. It is not started yet. */
export function logCounter<R>(parts: ClientParts, options: CountLogOptions<R>): LogCounter<R> {
  const { checkpoint, source, rule, name, phase, ...limits } = options;
  if (name === '') throw new TallyringError('INVALID_ARGUMENT', 'name must not be empty');
  return new LogCounter({
    register: new Register(checkKey(checkpoint), { ...parts, ...parts.ports }),
    store: new ClusterStore(parts),
    source,
    rule,
    name,
    ports: parts.ports,
    limits: logDrivenLimits(limits),
    phase,
  });
}
