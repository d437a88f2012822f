import type { NodeConnection } from '../../client/transport.js';
import type { CellValue } from '../../counter/shard.js';
import { windowIndex } from '../../counter/window.js';
import type { Outcome } from '../../proto/calls.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import { LEVELS } from '../../proto/level.js';
import type { SimConfiguration } from './configuration.js';
import type { History, IncrementRecord, ReadRecord } from './history.js';
import type { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { simClientTransport } from './rpc.js';
import type { SeededRandom } from './seeded-random.js';
import type { Trace } from './trace.js';
import { EPOCH_WALL_MS, type VirtualTime } from './virtual-time.js';

/** Where an increment counts. */
export type CountedEvent = Pick<IncrementRecord, 'key' | 'eventType' | 'timestampMs'>;

export interface WorkloadParts {
  config: SimConfiguration;
  time: VirtualTime;
  random: SeededRandom;
  trace: Trace;
  network: SimNetwork;
  history: History;
  nodeAt(address: string): string;
  /** Told of every acknowledged increment. */
  acknowledged(event: CountedEvent): void;
}

export const CALL_TIMEOUT_MS = 1_000;

/** Something that goes on at random moments until it is stopped. */
export interface Workload {
  stop(): void;
}

/** Calls `act` at a mean rate, with a seeded spread, while the process lives. */
export function repeatedly(
  process: SimProcess,
  options: { random: SeededRandom; perSecond: number },
  act: () => void,
): Workload {
  let stopped = false;
  const { random, perSecond } = options;
  const plan = () => {
    process.after((-Math.log(1 - random.next()) * 1000) / perSecond, () => {
      if (stopped) return;
      act();
      plan();
    });
  };
  plan();
  return {
    stop() {
      stopped = true;
    },
  };
}

/** Beyond what validation allows, whatever clock jumps by: such an event must be refused. */
const TOO_FAR_AHEAD_MS = 30 * 3_600_000;

/** A random event of the configured kind: most are of now; others late, years old, or ahead of the clock. */
export function randomEvent(config: SimConfiguration, random: SeededRandom, nowMs: number) {
  const aheadMs = drawAheadMs(random);
  return {
    key: `key-${random.below(config.keys)}`,
    eventType: random.pick(config.eventTypes),
    value: config.negativeValues ? random.below(21) - 10 : 1 + random.below(5),
    timestampMs: Math.floor(EPOCH_WALL_MS + nowMs + aheadMs),
    level: random.pick(config.levels),
    impossible: aheadMs >= TOO_FAR_AHEAD_MS,
  };
}

function drawAheadMs(random: SeededRandom): number {
  const kind = random.next();
  if (kind < 0.65) return 0;
  if (kind < 0.8) return -random.between(0, 7_200_000);
  if (kind < 0.88) return -random.between(0, 3e11);
  if (kind < 0.89) return -random.between(1.8e12, 3e12); // before 1970
  if (kind < 0.98) return random.between(0, 20 * 3_600_000);
  return random.between(TOO_FAR_AHEAD_MS, 1e12);
}

export function connectAll(parts: WorkloadParts, process: SimProcess): NodeConnection[] {
  const transport = simClientTransport(parts.network, process, parts.nodeAt);
  return parts.config.cluster.nodes.map((node) => transport.connect(`${node.host}:${node.port}`));
}

/** Reads cells at random nodes, mostly at QUORUM, else at any level; often twice in a row, and at once after an acknowledgement. */
export class Reader implements Workload {
  readonly #parts: WorkloadParts;
  readonly #name: string;
  readonly #random: SeededRandom;
  readonly #connections: NodeConnection[];
  readonly #workload: Workload;
  #stopped = false;

  constructor(parts: WorkloadParts, name: string) {
    this.#parts = parts;
    this.#name = name;
    this.#random = parts.random.fork(name);
    const process = new SimProcess(name, parts.time);
    parts.network.attach(process);
    this.#connections = connectAll(parts, process);
    const { config, time } = parts;
    this.#workload = repeatedly(process, { random: this.#random, perSecond: config.rate }, () => {
      this.#read(randomEvent(config, this.#random, time.nowMs), 0.6);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#workload.stop();
  }

  /** Something was acknowledged: now and then it is looked at, where it hurts most. */
  acknowledged(event: CountedEvent): void {
    if (!this.#stopped && this.#random.chance(0.4)) this.#read(event, 0.95);
  }

  #read(event: CountedEvent, atQuorum: number): void {
    const { config, history, trace } = this.#parts;
    const { key, eventType, timestampMs } = event;
    const random = this.#random;
    const granularity = random.chance(0.6) ? 'total' : random.pick(config.cluster.rollups);
    const window = windowIndex(granularity, timestampMs);
    const client = this.#name;
    const level = random.chance(atQuorum) ? 'QUORUM' : random.pick(LEVELS);
    const record: ReadRecord = { client, key, eventType, granularity, window, level, ...history.began() };
    history.reads.push(record);
    const end = (answer: Outcome<CellValue>) => {
      if ('ok' in answer) record.value = answer.ok;
      else record.error = answer.error;
      history.ended(record);
      const told = 'ok' in answer ? `count ${answer.ok.count}, sum ${answer.ok.sum}` : answer.error.code;
      trace.note(`${client}: reads ${key} ${eventType} ${granularity} at ${level}: ${told}`);
      if ('ok' in answer && !this.#stopped && random.chance(0.25)) this.#read(event, atQuorum);
    };
    random
      .pick(this.#connections)
      .get([{ key, eventType, granularity, timestampMs }], level, { timeoutMs: CALL_TIMEOUT_MS })
      .then(
        ([answer]) => end(answer!),
        (thrown) => end({ error: errorToData(asTallyringError(thrown)) }),
      );
  }
}
