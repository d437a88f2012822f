import type { ClientPorts } from '../ports.js';
import { lookBackStart, type Rule, type Wanted } from './checkpoint.js';
import type { CheckpointWriter } from './checkpoint-writer.js';
import type { LogDrivenLimits } from './options.js';
import { RecordReader } from './record-reader.js';
import type { ShardStore, Waiting } from './shard-store.js';
import type { CountingRule, CountingRun, LogSource } from './source.js';

/** What the parts of an owner share. */
export interface OwnerContext<R> {
  source: LogSource<R>;
  rule: CountingRule<R>;
  store: ShardStore;
  ports: Pick<ClientPorts, 'clock' | 'timers' | 'random' | 'logger'>;
  limits: LogDrivenLimits;
  /** When within flushIntervalMs this partition flushes: a share of it, in [0, 1). */
  phase: number;
  waiting: Waiting;
  writer: CheckpointWriter;
  wanted: Wanted;
  /** Something ended the owner: all that is under way is to end. */
  fail(error: unknown): void;
  /** A batch is through. */
  onBatch(): void;
}

/** A reader of the source from an offset on. */
export function readerFrom<R>(context: OwnerContext<R>, from: number): RecordReader<R> {
  const { source, ports, limits, waiting } = context;
  const { clock, timers, random } = ports;
  return new RecordReader(
    { source, clock, timers, random, timeoutMs: limits.attemptTimeoutMs, waiting },
    from,
  );
}

/** A run of the rule that has seen what it looks back at, and a reader that stands at `from`. */
export async function beginAt<R>(
  context: OwnerContext<R>,
  rule: Rule,
  from: number,
): Promise<{ run: CountingRun<R>; reader: RecordReader<R> }> {
  const run = context.rule.begin(rule);
  const reader = readerFrom(context, lookBackStart(rule, from));
  for await (const { offset, record } of reader.upTo(from)) run.pass(offset, record);
  return { run, reader };
}
