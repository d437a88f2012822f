import { asTallyringError } from '../../../proto/errors.js';
import {
  type EventRecord,
  encodeRecord,
  MAX_AHEAD_MS,
  MAX_EVENT_VALUE,
  partitionOf,
} from '../../../services/event.js';
import type { EventLog, LogDescription } from '../../../services/log/log.js';
import type { SimConfiguration } from '../configuration.js';
import type { History } from '../history.js';
import type { SimNetwork } from '../network.js';
import { SimProcess } from '../process.js';
import type { SeededRandom } from '../seeded-random.js';
import type { Trace } from '../trace.js';
import { EPOCH_WALL_MS, type VirtualTime } from '../virtual-time.js';
import { repeatedly, type Workload } from '../workloads.js';
import type { PipelineConfiguration } from './configuration.js';
import { simLog } from './log-process.js';

/** What became of an event that somebody wanted to be counted. */
export interface SentEvent {
  event: EventRecord;
  /** Undefined: bytes that are no event. */
  payload: Buffer;
  /** waiting: it is still sent. in doubt: it had no id, and its answer was lost. */
  outcome: 'waiting' | 'acknowledged' | 'in doubt';
}

export interface SourceParts {
  config: SimConfiguration & { pipeline: PipelineConfiguration };
  time: VirtualTime;
  network: SimNetwork;
  trace: Trace;
  history: History;
  random: SeededRandom;
  description: LogDescription;
  count(name: string): void;
}

const TIMEOUT_MS = 700;
const MOST_PER_APPEND = 4;

/**
 * Machines that append events, as the front of a processing service does for its callers: whatever got no answer is
 * sent again, through any of them, until it is acknowledged.
 */
export class Sources implements Workload {
  readonly sent: SentEvent[] = [];
  readonly #parts: SourceParts;
  readonly #machines: { process: SimProcess; log: EventLog }[] = [];
  readonly #workloads: Workload[] = [];
  #made = 0;

  constructor(parts: SourceParts) {
    this.#parts = parts;
    const { network, time, config, random, description } = parts;
    for (let i = 1; i <= config.pipeline.sources; i++) {
      const process = new SimProcess(`source-${i}`, time);
      network.attach(process);
      this.#machines.push({ process, log: simLog(network, process, description) });
      const own = { random: random.fork(process.name), perSecond: config.pipeline.rate / MOST_PER_APPEND };
      this.#workloads.push(repeatedly(process, own, () => void this.#send(own.random)));
    }
  }

  stop(): void {
    for (const workload of this.#workloads) workload.stop();
  }

  async #send(random: SeededRandom): Promise<void> {
    const { config, trace, count } = this.#parts;
    const batch = Array.from({ length: 1 + random.below(MOST_PER_APPEND * 2 - 1) }, () =>
      this.#event(random),
    );
    this.sent.push(...batch);
    const repeat = random.chance(config.pipeline.repeatRate);
    let machine = random.below(this.#machines.length);
    for (let open = batch; open.length > 0; ) {
      const failed = await this.#append(open, machine);
      if (failed === undefined) {
        trace.note(`${open.length} events are in the log`);
        for (const one of open) one.outcome = 'acknowledged';
        break;
      }
      // Who cannot tell one try from the next must not try again when it may have been appended.
      for (const one of open)
        if (failed.mayHaveApplied && one.event.recordId === undefined) one.outcome = 'in doubt';
      open = open.filter(({ outcome }) => outcome === 'waiting');
      const former = machine;
      machine = random.below(this.#machines.length);
      if (failed.mayHaveApplied) count('seen: append in doubt');
      if (open.length > 0 && failed.mayHaveApplied && machine !== former)
        count('seen: append in doubt, again elsewhere');
      await new Promise<void>(
        (resolve) => void this.#machines[0]!.process.after(random.between(5, 300), resolve),
      );
    }
    const named = batch.filter(({ event }) => event.recordId !== undefined);
    if (repeat && named.length > 0) {
      count('seen: append repeated');
      void this.#append(named, random.below(this.#machines.length));
    }
  }

  async #append(events: readonly SentEvent[], machine: number) {
    const { log } = this.#machines[machine]!;
    const { partitions } = this.#parts.description;
    const byPartition = new Map<number, Buffer[]>();
    for (const { event, payload } of events) {
      const partition = partitionOf(event.videoId, partitions);
      byPartition.set(partition, [...(byPartition.get(partition) ?? []), payload]);
    }
    const appends = [...byPartition].map(([partition, records]) => ({ partition, records }));
    try {
      if (appends.length > 0) await log.append(appends, { timeoutMs: TIMEOUT_MS });
      return undefined;
    } catch (error) {
      return asTallyringError(error);
    }
  }

  #event(random: SeededRandom): SentEvent {
    const { config, time } = this.#parts;
    const event: EventRecord = {
      recordId: random.chance(config.pipeline.withoutId) ? undefined : `e:${++this.#made}`,
      videoId: `key-${random.below(config.keys)}`,
      eventType: random.pick(config.eventTypes),
      value: drawValue(random, config),
      timestampMs: Math.floor(EPOCH_WALL_MS + time.nowMs + drawAheadMs(random)),
      attributes: undefined,
    };
    const payload = random.chance(config.pipeline.malformed)
      ? Buffer.from('no event at all')
      : encodeRecord(event);
    return { event, payload, outcome: 'waiting' };
  }
}

/** Small ones, so that a difference is seen at once; or the greatest that may be. */
function drawValue(random: SeededRandom, { negativeValues, pipeline }: SourceParts['config']): number {
  if (random.chance(pipeline.hugeValues)) {
    return random.pick(negativeValues ? [MAX_EVENT_VALUE, -MAX_EVENT_VALUE] : [MAX_EVENT_VALUE]);
  }
  return negativeValues ? random.below(21) - 10 : 1 + random.below(5);
}

/** Most are of now; some late; some about as far ahead as may be, where clocks differ in their verdict. */
function drawAheadMs(random: SeededRandom): number {
  const kind = random.next();
  if (kind < 0.7) return 0;
  if (kind < 0.85) return -random.between(0, 1e10);
  return MAX_AHEAD_MS + random.between(-4_000, 4_000);
}
