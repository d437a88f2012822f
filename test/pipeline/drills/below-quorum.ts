import { waitUntil } from '../../chaos/drill-cluster.js';
import type { Finding } from '../../chaos/drills/drill.js';
import { mustBe } from '../../chaos/drills/drill.js';
import { Caller } from '../caller.js';
import { stillExact, untilExact } from '../counts.js';
import { pass } from '../nemesis.js';
import { type SentEvent, Tally } from '../tally.js';
import type { DrillContext, PipelineDrill } from './drill.js';

const EVENTS_PER_SECOND = 2_000;
const REQUESTS_PER_SECOND = 10;
const VIDEOS = 2_000;
/** Of each partition: small, so that the instance is full soon. */
const MAX_BATCH_RECORDS = 2_000;
const SAMPLE_MS = 500;
/** Above the highest that the instance had before. */
const BOUND_GROWTH_MIB = 150;
const BOUND_SAID_MS = 40_000;
/** The load goes on, so that pulling would show within this. */
const STANDS_STILL_MS = 2_000;
const BOUND_EXACT_MS = 120_000;
const WARM_UP_MS = 4_000;
const BOUND_COUNTED_MS = 30_000;

/** Two of three nodes gone under load: counting waits, taking does not. */
export const belowQuorum: PipelineDrill = {
  name: 'below-quorum',
  title: 'two of three nodes gone under load: one stopped, one killed',
  seconds: { long: 60, short: 5 },
  instances: 1,
  settings: { processing: { maxBatchRecords: MAX_BATCH_RECORDS } },
  logs: ['embedded', 'kafka'],
  async run(context) {
    const { pipeline, seconds, say } = context;
    const { processes } = pipeline;
    const load = new Load(context);
    load.start();
    try {
      await pass(WARM_UP_MS);
      await waitUntil('events are counted before', BOUND_COUNTED_MS, async () => {
        return ((await pipeline.health('p1'))?.counted ?? 0) > 0;
      });
      const before = load.highestMiB;
      say(`at most ${before.toFixed(0)} MiB under ${EVENTS_PER_SECOND} events/s; two nodes go`);
      processes.pause('n2');
      await processes.kill('n3');
      load.mark();
      const { countedThen } = await untilItSaysSo(context);
      await pass(seconds * 1_000);
      const stopped = await load.look();
      mustBe('events that were pulled since it said so', stopped.counted - countedThen, 0);
      mustBe(
        'events go on being accepted',
        load.acceptedSinceMark >= 0.5 * seconds * EVENTS_PER_SECOND,
        true,
      );
      const outageMiB = load.highestSinceMarkMiB;
      const accepted = load.acceptedSinceMark;
      say(`${accepted} events accepted meanwhile, ${stopped.lag} behind; the nodes come back`);
      processes.resume('n2');
      pipeline.launch('n3');
      const backMs = performance.now();
      await load.end();
      await untilExact(pipeline, load.tally, BOUND_EXACT_MS);
      const caughtUpAfter = (performance.now() - backMs) / 1_000;
      await stillExact(pipeline, load.tally);
      say(`memory in MiB, every ${SAMPLE_MS} ms: ${load.curve}`);
      const growth = load.highestMiB - before;
      mustBe(
        `growth of memory, ${growth.toFixed(0)} MiB, within ${BOUND_GROWTH_MIB}`,
        growth <= BOUND_GROWTH_MIB,
        true,
      );
      return [
        { what: 'events, all acknowledged', value: String(load.tally.events) },
        { what: 'accepted while below quorum', value: String(accepted) },
        {
          what: 'highest memory before, while below quorum, in all',
          value: mebibytes(before, outageMiB, load.highestMiB),
        },
        { what: 'keys off in total or per hour', value: '0' },
        {
          what: 'exact after the nodes came back',
          value: `${caughtUpAfter.toFixed(1)} s`,
        },
      ] satisfies Finding[];
    } finally {
      processes.resume('n2');
      await load.stop();
    }
  },
};

const mebibytes = (...values: number[]) => `${values.map((value) => value.toFixed(0)).join(', ')} MiB`;

/** Waits until health and metrics tell that counting waits, and nothing more is pulled. */
async function untilItSaysSo({ pipeline, say }: DrillContext): Promise<{ countedThen: number }> {
  let message = '';
  let countedThen = -1;
  let sinceMs = performance.now();
  await waitUntil('health says that counting waits, and pulling stops', BOUND_SAID_MS, async () => {
    const health = await pipeline.health('p1');
    if (health === undefined) return false;
    if (health.counted !== countedThen) sinceMs = performance.now();
    countedThen = health.counted;
    message = health.message;
    return message.includes('waits and tries again') && performance.now() - sinceMs >= STANDS_STILL_MS;
  });
  say(`health: ${message}`);
  const waiting = await pipeline.metric('p1', 'tallyring_partitions{state="waiting"}');
  mustBe('partitions that wait, by the metrics', waiting, pipeline.log.partitions);
  return { countedThen };
}

/** Steady load through the one instance, and how that instance is. */
class Load {
  readonly tally = new Tally();
  acceptedSinceMark = 0;
  readonly #context: DrillContext;
  readonly #caller: Caller;
  readonly #samples: number[] = [];
  #marked = 0;
  #sent = 0;
  #ended = false;
  #stopping = false;
  #sending: Promise<void> = Promise.resolve();
  #sampling: Promise<void> = Promise.resolve();

  constructor(context: DrillContext) {
    const { pipeline, random } = context;
    this.#context = context;
    this.#caller = new Caller({ pipeline, random: random.fork('caller') });
  }

  start(): void {
    this.#sending = this.#send();
    this.#sending.catch(() => {}); // `end` throws it
    this.#sampling = this.#sample();
  }

  /** Sends no more, and resolves when all is acknowledged. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#sending;
  }

  async stop(): Promise<void> {
    this.#ended = true;
    this.#stopping = true;
    await this.#sampling;
  }

  /** What is told since is counted from here. */
  mark(): void {
    this.#marked = this.#samples.length;
    this.acceptedSinceMark = 0;
  }

  get highestMiB(): number {
    return Math.max(...this.#samples);
  }

  get highestSinceMarkMiB(): number {
    return Math.max(...this.#samples.slice(this.#marked));
  }

  get curve(): string {
    return this.#samples.map((sample) => sample.toFixed(0)).join(' ');
  }

  async look() {
    const health = await this.#context.pipeline.health('p1');
    if (health === undefined) throw new Error('p1 does not answer');
    return health;
  }

  async #send(): Promise<void> {
    const beganMs = performance.now();
    const open = new Set<Promise<void>>();
    for (let i = 0; !this.#ended; i++) {
      const sending = this.#sendOne();
      open.add(sending);
      sending.finally(() => open.delete(sending)).catch(() => {});
      const dueMs = beganMs + ((i + 1) * 1_000) / REQUESTS_PER_SECOND;
      await pass(Math.max(1, dueMs - performance.now()));
    }
    await Promise.all(open);
  }

  async #sendOne(): Promise<void> {
    const { random } = this.#context;
    const events = Array.from({ length: EVENTS_PER_SECOND / REQUESTS_PER_SECOND }, (): SentEvent => {
      // Skewed: few videos are watched much.
      const videoId = `watched-${Math.floor(VIDEOS * random.next() ** 3)}`;
      const timestamp = Date.now() - random.below(10_800_000);
      return {
        eventId: `b-${this.#sent++}`,
        videoId,
        eventType: 'watch_ms',
        timestamp,
        value: random.below(60_000),
      };
    });
    for (const event of events) this.tally.add(event);
    await this.#caller.deliver(events);
    this.acceptedSinceMark += events.length;
  }

  async #sample(): Promise<void> {
    while (!this.#stopping) {
      const sample = this.#context.pipeline.processes.memoryMiB('p1');
      if (sample !== undefined) this.#samples.push(sample);
      await pass(SAMPLE_MS);
    }
  }
}
