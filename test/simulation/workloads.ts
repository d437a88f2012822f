import type { NodeConnection } from '../../client/transport.js';
import type { CellValue } from '../../counter/shard.js';
import { windowIndex } from '../../counter/window.js';
import type { Outcome } from '../../proto/calls.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import type { SimConfiguration } from './configuration.js';
import type { History, ReadRecord } from './history.js';
import type { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { simClientTransport } from './rpc.js';
import type { SeededRandom } from './seeded-random.js';
import type { Trace } from './trace.js';
import { EPOCH_WALL_MS, type VirtualTime } from './virtual-time.js';

export interface WorkloadParts {
  config: SimConfiguration;
  time: VirtualTime;
  random: SeededRandom;
  trace: Trace;
  network: SimNetwork;
  history: History;
  nodeAt(address: string): string;
  /** Told of every acknowledged increment. */
  acknowledged(key: string, eventType: string): void;
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

/** A random event of the configured kind. Some are late, some years old, none lies in the future. */
export function randomEvent(config: SimConfiguration, random: SeededRandom, nowMs: number) {
  const age = random.next();
  const lateMs = age < 0.7 ? 0 : age < 0.9 ? random.between(0, 7_200_000) : random.between(0, 3e11);
  return {
    key: `key-${random.below(config.keys)}`,
    eventType: random.pick(config.eventTypes),
    value: config.negativeValues ? random.below(21) - 10 : 1 + random.below(5),
    timestampMs: Math.floor(EPOCH_WALL_MS + nowMs - lateMs),
    level: random.pick(config.levels),
  };
}

export function connectAll(parts: WorkloadParts, process: SimProcess): NodeConnection[] {
  const transport = simClientTransport(parts.network, process, parts.nodeAt);
  return parts.config.cluster.nodes.map((node) => transport.connect(`${node.host}:${node.port}`));
}

/** Reads cells at random nodes, mostly at QUORUM; often twice in a row, and at once after an acknowledgement. */
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
      const { key, eventType } = randomEvent(config, this.#random, time.nowMs);
      this.#read(key, eventType);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#workload.stop();
  }

  /** Something was acknowledged: now and then it is looked at, where it hurts most. */
  acknowledged(key: string, eventType: string): void {
    if (!this.#stopped && this.#random.chance(0.4)) this.#read(key, eventType);
  }

  #read(key: string, eventType: string): void {
    const { config, history, time, trace } = this.#parts;
    const random = this.#random;
    const granularity = random.chance(0.7) ? 'total' : random.pick(config.cluster.rollups);
    const timestampMs = Math.floor(EPOCH_WALL_MS + time.nowMs);
    const window = windowIndex(granularity, timestampMs);
    const client = this.#name;
    const level = random.chance(0.85) ? 'QUORUM' : random.pick(OTHER_READ_LEVELS);
    const record: ReadRecord = { client, key, eventType, granularity, window, level, ...history.began() };
    history.reads.push(record);
    const end = (answer: Outcome<CellValue>) => {
      if ('ok' in answer) record.value = answer.ok;
      else record.error = answer.error;
      history.ended(record);
      const told = 'ok' in answer ? `count ${answer.ok.count}, sum ${answer.ok.sum}` : answer.error.code;
      trace.note(`${client}: reads ${key} ${eventType} ${granularity} at ${level}: ${told}`);
      if ('ok' in answer && !this.#stopped && random.chance(0.25)) this.#read(key, eventType);
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

const OTHER_READ_LEVELS = ['ONE', 'ALL', 'LOCAL_QUORUM', 'EACH_QUORUM'] as const;
