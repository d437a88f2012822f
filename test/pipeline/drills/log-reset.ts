import { cpSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { waitUntil } from '../../chaos/drill-cluster.js';
import { mustBe } from '../../chaos/drills/drill.js';
import { Caller, send } from '../caller.js';
import { stillExact, untilExact } from '../counts.js';
import { getJson } from '../http.js';
import { pass } from '../nemesis.js';
import type { Pipeline } from '../pipeline.js';
import { freePorts } from '../ports.js';
import { inRequests, type SentEvent, Tally } from '../tally.js';
import type { DrillContext, PipelineDrill } from './drill.js';

const EVENTS = 400;
const EVENTS_PER_REQUEST = 50;
const BOUND_EXACT_MS = 60_000;
const BOUND_SAID_MS = 30_000;

/** What an operator may do to a log by mistake: nothing is counted twice, and what cannot be counted is said. */
export const logReset: PipelineDrill = {
  name: 'log-reset',
  title: 'a second instance of the same name; a log set back to an older copy; a log wiped',
  seconds: { long: 10, short: 2 },
  instances: 2,
  logs: ['embedded'],
  async run(context) {
    const scene = new Scene(context);
    const namesake = await secondOfOneName(scene);
    const cut = await cutLog(scene);
    const { running, restarted } = await wipedLog(scene);
    return [
      { what: 'events counted in all, keys off', value: `${scene.tally.events}, 0` },
      { what: 'a second p1 says', value: namesake },
      { what: 'of a log that was set back', value: cut.message },
      { what: 'once it is as long again', value: cut.grown },
      { what: 'of a log that was wiped, a running instance', value: running },
      { what: 'of a log that was wiped, a restarted instance', value: restarted },
    ];
  },
};

class Scene {
  readonly tally = new Tally();
  readonly pipeline: Pipeline;
  readonly say: (line: string) => void;
  readonly #context: DrillContext;
  readonly #caller: Caller;
  #sent = 0;

  constructor(context: DrillContext) {
    this.#context = context;
    this.pipeline = context.pipeline;
    this.say = context.say;
    this.#caller = new Caller(context);
  }

  /** Events of many videos, so that there are some in every partition. */
  make(count: number): SentEvent[] {
    const { random } = this.#context;
    return Array.from({ length: count }, () => ({
      eventId: `r-${this.#sent++}`,
      videoId: `video-${random.below(100)}`,
      eventType: 'view',
      timestamp: Date.now(),
      value: random.below(100),
    }));
  }

  async sendMore(): Promise<void> {
    const events = this.make(EVENTS);
    for (const event of events) this.tally.add(event);
    await this.deliver(events);
  }

  async deliver(events: readonly SentEvent[]): Promise<void> {
    for (const request of inRequests(events, EVENTS_PER_REQUEST)) await this.#caller.deliver(request);
  }

  exact = () => untilExact(this.pipeline, this.tally, BOUND_EXACT_MS);

  /** While nothing can be counted the store stays as it is. */
  async unchanged(): Promise<void> {
    await pass(this.#context.seconds * 1_000);
    await stillExact(this.pipeline, this.tally);
  }

  get logFolder(): string {
    return join(this.pipeline.data, 'log');
  }

  aside(name: string): string {
    return join(this.pipeline.folder, name);
  }

  /** Waits until an instance says that a partition is stopped, and why. */
  async untilStopped(instance: string, why: RegExp): Promise<string> {
    let message = '';
    await waitUntil(`${instance} says ${why}`, BOUND_SAID_MS, async () => {
      message = (await this.pipeline.health(instance))?.message ?? 'no answer';
      return /is stopped/.test(message) && why.test(message);
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it says: ${message}`);
    });
    this.say(`${instance}: ${message}`);
    return message;
  }
}

async function secondOfOneName(scene: Scene): Promise<string> {
  const { pipeline } = scene;
  const [port] = await freePorts(1);
  const configFile = pipeline.configure('namesake', { processing: { instances: [{ name: 'p1', port }] } });
  const words = ['processing', '--name', 'p1', '--config', configFile, '--data', scene.aside('other-data')];
  // The first one is who is known first: as two start together, their first words may cross.
  await waitUntil('the first p1 is known to the others', BOUND_SAID_MS, async () =>
    (await pipeline.healths()).every(({ members }) => members.includes('p1')),
  );
  pipeline.processes.launch('namesake', words, pipeline.logFile('namesake'));
  const look = async () => (await getJson(`http://127.0.0.1:${port}/health`))?.body;
  await waitUntil('the second p1 says that there is one', BOUND_SAID_MS, async () =>
    String((await look())?.message).includes('an instance named p1 runs already'),
  );
  await scene.sendMore();
  const through = scene.make(10);
  for (const event of through) scene.tally.add(event);
  mustBe('it takes events all the same', (await send(`http://127.0.0.1:${port}`, through)).status, 200);
  await scene.exact();
  const { message, partitions, counted } = await look();
  mustBe('partitions and events of the second p1', { partitions, counted }, { partitions: [], counted: 0 });
  await pipeline.processes.kill('namesake');
  scene.say(`the second p1: ${message}`);
  return message;
}

async function cutLog(scene: Scene): Promise<{ message: string; grown: string }> {
  const { pipeline, logFolder } = scene;
  await pipeline.log.kill();
  cpSync(logFolder, scene.aside('older'), { recursive: true });
  await pipeline.log.start();
  await scene.sendMore();
  await scene.exact();
  await pipeline.log.kill();
  renameSync(logFolder, scene.aside('whole'));
  cpSync(scene.aside('older'), logFolder, { recursive: true });
  await pipeline.log.start();
  const [message] = await Promise.all(
    pipeline.instances.map((name) => scene.untilStopped(name, /it was cut or restored from a copy/)),
  );
  // It takes events all the same, until it is as long as it was: these are others than those that were counted.
  const taken = scene.make(2 * EVENTS);
  await scene.deliver(taken);
  const [grown] = await Promise.all(
    pipeline.instances.map((name) => scene.untilStopped(name, /is not the one that was counted/)),
  );
  await scene.unchanged();
  // What the message says to do: the whole log back in its place, and once more what the cut one took.
  await pipeline.log.kill();
  renameSync(logFolder, scene.aside('cut'));
  renameSync(scene.aside('whole'), logFolder);
  await pipeline.log.start();
  await scene.deliver(taken);
  for (const event of taken) scene.tally.add(event);
  await scene.exact();
  return { message: message!, grown: grown! };
}

async function wipedLog(scene: Scene): Promise<{ running: string; restarted: string }> {
  const { pipeline, logFolder } = scene;
  await pipeline.log.kill();
  renameSync(logFolder, scene.aside('former'));
  await pipeline.log.start();
  const running = await scene.untilStopped('p1', /the log was set up anew/);
  const refused = await send(pipeline.urlOf('p1'), scene.make(1));
  mustBe('status of an append to another log', refused.status, 503);
  mustBe('whether anything of it was applied', refused.body.error.mayHaveApplied, false);
  await pipeline.processes.kill('p2');
  pipeline.launch('p2');
  const restarted = await scene.untilStopped('p2', /the checkpoint is of log .* it was reset/);
  // It takes events into the new log, which keeps them until somebody says how to go on.
  const kept = scene.make(EVENTS_PER_REQUEST);
  mustBe('status of an append to the new log', (await send(pipeline.urlOf('p2'), kept)).status, 200);
  await scene.unchanged();
  // What the message says to do: the new log is counted under another name, from its start.
  for (const name of pipeline.instances) {
    await pipeline.processes.kill(name);
    pipeline.launch(name, { configFile: pipeline.configure('anew', { processing: { pipeline: 'anew' } }) });
  }
  for (const event of kept) scene.tally.add(event);
  await scene.sendMore();
  await scene.exact();
  return { running, restarted };
}
