import { TallyringClient } from '../../client/client.js';
import { PendingError } from '../../client/errors.js';
import { silentLogger } from '../../ports/logger.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import type { IncrementRecord } from './history.js';
import { SimProcess } from './process.js';
import { simClientTransport } from './rpc.js';
import type { SeededRandom } from './seeded-random.js';
import type { VirtualClock } from './virtual-time.js';
import { CALL_TIMEOUT_MS, randomEvent, repeatedly, type Workload, type WorkloadParts } from './workloads.js';

interface Running {
  /** Of the machine; its processes come and go. */
  name: string;
  clock: VirtualClock;
  process: SimProcess;
  random: SeededRandom;
  workload: Workload | undefined;
  /** Its increments that are not acknowledged yet. */
  waiting: Set<IncrementRecord>;
}

/**
 * Applications with the real SDK over the simulated network. While such a process lives, every increment
 * that the SDK took is counted exactly once; one that is killed takes into doubt what was not acknowledged.
 */
export class SdkClients {
  readonly #parts: WorkloadParts;
  readonly #running = new Map<string, Running>();
  #started = 0;
  #stopped = false;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
    for (let i = 0; i < parts.config.sdkClients; i++) this.#start(`sdk-${i + 1}`, parts.time.clock());
  }

  stop(): void {
    this.#stopped = true;
    for (const { workload } of this.#running.values()) workload?.stop();
  }

  clockOf(name: string): VirtualClock | undefined {
    return this.#running.get(name)?.clock;
  }

  /** Every clock is right again. */
  setClocks(): void {
    for (const { clock } of this.#running.values()) clock.offsetMs = 0;
  }

  /** Kills a client process and starts another on the same machine. */
  crash(name: string): void {
    const { network, history, trace } = this.#parts;
    const victim = this.#running.get(name);
    if (victim === undefined) return;
    trace.note(`${victim.name} is killed`);
    victim.process.kill();
    network.died(victim.process);
    for (const record of victim.waiting) {
      record.outcome = 'lost';
      history.ended(record);
    }
    this.#start(name, victim.clock);
  }

  #start(name: string, clock: VirtualClock): void {
    const { random: root, time, network, config, nodeAt, trace } = this.#parts;
    const random = root.fork(`${name}/${++this.#started}`);
    const process = new SimProcess(name, time);
    network.attach(process);
    const running: Running = { name, clock, process, random, workload: undefined, waiting: new Set() };
    this.#running.set(name, running);
    const transport = simClientTransport(network, process, nodeAt);
    const open = () => {
      const options = {
        contactPoints: config.cluster.nodes.map((node) => `${node.host}:${node.port}`),
        consistency: random.pick(config.levels),
        flushIntervalMs: random.pick([5, 20, 200]),
        maxFlushCells: random.pick([3, 100]),
        maxCells: config.sdkMaxCells,
        attemptTimeoutMs: 500,
        requestTimeoutMs: CALL_TIMEOUT_MS,
      };
      TallyringClient.open<'number'>(options, {
        transport,
        clock,
        timers: process,
        random,
        logger: silentLogger,
        keepAlive() {},
      }).then(
        (client) => {
          trace.note(`${name} is connected`);
          this.#run(running, client);
        },
        (error) => {
          trace.note(`${name} cannot connect: ${asTallyringError(error).code}`);
          process.after(500, open);
        },
      );
    };
    open();
  }

  #run(running: Running, client: TallyringClient): void {
    if (this.#stopped) return;
    const { process, random } = running;
    const perSecond = this.#parts.config.rate;
    running.workload = repeatedly(process, { random, perSecond }, () => this.#increment(running, client));
  }

  #increment({ name, random, waiting }: Running, client: TallyringClient): void {
    const { config, history, time, trace } = this.#parts;
    const event = randomEvent(config, random, time.nowMs);
    const record: IncrementRecord = {
      client: name,
      producer: 'sdk',
      ...event,
      ...history.began(),
      outcome: 'waiting',
    };
    history.increments.push(record);
    waiting.add(record);
    const end = (outcome: IncrementRecord['outcome'], thrown?: unknown) => {
      waiting.delete(record);
      record.outcome = outcome;
      if (thrown !== undefined) record.error = errorToData(asTallyringError(thrown));
      history.ended(record);
      trace.note(`${name}: ${event.key} ${event.eventType} ${event.value} at ${event.level}: ${outcome}`);
      if (outcome === 'acknowledged') this.#parts.acknowledged(event);
    };
    const { key, eventType, value, timestampMs, level } = event;
    // What increment() throws at once was not counted; so are its other errors but PendingError.
    const taken = async () =>
      client.increment(key, eventType, { by: value, timestamp: timestampMs, consistency: level });
    taken().then(
      () => end('acknowledged'),
      (error: unknown) => {
        if (!(error instanceof PendingError)) return end('not applied', error);
        // Only the wait ended: the SDK goes on writing it.
        error.settled.then(
          () => end('acknowledged'),
          (thrown) => end('in doubt', thrown),
        );
      },
    );
  }
}
