import type { EventLog } from '../../../services/log/log.js';
import { waitUntil } from '../../chaos/drill-cluster.js';
import { mustBe } from '../../chaos/drills/drill.js';
import { LinkProxy } from '../../chaos/proxy.js';
import { send } from '../caller.js';
import { countsOf, stillExact, untilExact } from '../counts.js';
import type { Answer } from '../http.js';
import { endOf } from '../log-ends.js';
import type { Pipeline } from '../pipeline.js';
import { freePorts } from '../ports.js';
import { type SentEvent, Tally } from '../tally.js';
import type { DrillContext, PipelineDrill } from './drill.js';

const BOUND_EXACT_MS = 60_000;
const APPENDED_BOUND_MS = 10_000;
const ANSWER_MS = 10_000;
const ACKNOWLEDGED_BOUND_MS = 30_000;
const EVENTS_PER_REQUEST = 30;
const CALL_BY = { eventIds: 'eventIds', key: 'an Idempotency-Key', nothing: 'neither' } as const;
type NamedBy = keyof typeof CALL_BY;

/** The two ways on which an answer may get lost: from an instance to its caller, from the log to the instance. */
type Way = 'caller' | 'log';

interface Lossy {
  proxies: Record<Way, LinkProxy>;
  log: EventLog;
}

/** Appends whose answers are lost, and that are sent again: to the same instance and to another one. */
export const retries: PipelineDrill = {
  name: 'retries',
  title: 'appends whose answers are lost are sent again, to the same instance and to another one',
  seconds: { long: 60, short: 8 },
  instances: 2,
  logs: ['embedded'],
  async run(context) {
    const { pipeline, seconds, say } = context;
    const lossy = await putProxies(pipeline);
    const tally = new Tally();
    const lost = { caller: 0, log: 0 };
    try {
      const endMs = performance.now() + seconds * 1_000;
      for (let i = 0; i < 8 || performance.now() < endMs; i++) {
        // All combinations in turn.
        const way: Way = i % 2 === 0 ? 'caller' : 'log';
        const namedBy: NamedBy = i % 4 < 2 ? 'eventIds' : 'key';
        const again = i % 8 < 4 ? pipeline.instances[0]! : pipeline.instances[1]!;
        const events = eventsOf(context, i, namedBy);
        for (const event of events) tally.add(event);
        await losing(lossy, { way, namedBy, again, events, name: `request-${i}`, pipeline });
        lost[way]++;
        if (i % 64 === 63) say(`${i + 1} requests whose answer was lost, retried`);
      }
      const exactAfter = await untilExact(pipeline, tally, BOUND_EXACT_MS);
      const twice = await unnamed(context, lossy);
      await stillExact(pipeline, tally);
      return [
        { what: 'answers lost on the way to the caller, retried', value: String(lost.caller) },
        { what: 'answers lost on the way from the log, retried', value: String(lost.log) },
        { what: 'keys off in total or per hour', value: '0' },
        { what: 'counted to the end after the last retry', value: `${exactAfter.toFixed(1)} s` },
        { what: 'without ids: mayCountTwice is said, and a retried event counted', value: `${twice} times` },
      ];
    } finally {
      for (const proxy of Object.values(lossy.proxies)) proxy.refuse();
      await lossy.log.close();
    }
  },
};

/** p1 is called, and calls the log, through a proxy; p2 directly. */
async function putProxies(pipeline: Pipeline): Promise<Lossy> {
  const [toInstance, toLog] = await freePorts(2);
  const proxies = {
    caller: new LinkProxy(toInstance!, pipeline.ports.instances[0]!),
    log: new LinkProxy(toLog!, pipeline.ports.log),
  };
  await Promise.all(Object.values(proxies).map((proxy) => proxy.listen()));
  await pipeline.processes.kill('p1');
  const log = { ...pipeline.log.section, port: toLog };
  pipeline.launch('p1', { configFile: pipeline.configure('behind-proxy', { log }) });
  await pipeline.untilWell('p1');
  await pipeline.untilOwned();
  return { proxies, log: await pipeline.log.connect() };
}

function eventsOf({ random }: DrillContext, request: number, namedBy: NamedBy): SentEvent[] {
  return Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => ({
    ...(namedBy === 'eventIds' && { eventId: `e-${request}-${i}` }),
    videoId: `retried-${random.below(40)}`,
    eventType: 'view',
    timestamp: Date.now() - random.below(7_200_000),
    value: random.below(1_000),
  }));
}

interface LostAppend {
  way: Way;
  namedBy: NamedBy;
  /** Who gets the retry. */
  again: string;
  events: SentEvent[];
  name: string;
  pipeline: Pipeline;
}

/** One request through p1 whose answer is cut off when the log has its events, then the same until acknowledged. */
async function losing(lossy: Lossy, append: LostAppend): Promise<Answer> {
  const { way, namedBy, again, events, name, pipeline } = append;
  const headers: Record<string, string> = namedBy === 'key' ? { 'idempotency-key': name } : {};
  const first = await loseAnswer(lossy, append, headers);
  if (way === 'caller') mustBe(`${name}: an answer came`, first, undefined);
  else {
    // The instance does not know either, and says so.
    const { status, body } = first!;
    const said = { isFailure: status >= 500, mayHaveApplied: body.error.mayHaveApplied };
    mustBe(`${name}: ${JSON.stringify(body)}`, said, { isFailure: true, mayHaveApplied: true });
    mustBe(`${name} may be sent again`, body.error.retryable, namedBy !== 'nothing');
  }
  let answer: Answer | undefined;
  await waitUntil(`${name} is acknowledged`, ACKNOWLEDGED_BOUND_MS, async () => {
    answer = await send(pipeline.urlOf(again), events, { headers }).catch(() => undefined);
    return answer?.status === 200;
  });
  mustBe(`${name}: mayCountTwice`, answer!.body.mayCountTwice, namedBy === 'nothing');
  return answer!;
}

/** Undefined when none came at all. */
async function loseAnswer(
  { proxies, log }: Lossy,
  { way, events, pipeline }: LostAppend,
  headers: Record<string, string>,
): Promise<Answer | undefined> {
  const proxy = proxies[way];
  const before = await endOf(log);
  proxy.back.flow = 'hold';
  proxy.applied();
  const url = way === 'caller' ? `http://127.0.0.1:${proxy.port}` : pipeline.urlOf('p1');
  const answering = send(url, events, { headers, timeoutMs: ANSWER_MS }).catch(() => undefined);
  await waitUntil('the log has the events', APPENDED_BOUND_MS, async () => {
    return (await endOf(log)) >= before + events.length;
  });
  proxy.refuse();
  const answer = await answering;
  proxy.back.flow = 'open';
  await proxy.listen();
  return answer;
}

/** With neither ids nor key a retry may count twice, which every answer says; how often it counted. */
async function unnamed(context: DrillContext, lossy: Lossy): Promise<number> {
  const { pipeline } = context;
  const [event] = eventsOf(context, 0, 'nothing');
  const events = [{ ...event!, videoId: 'without-id' }];
  const append = { namedBy: 'nothing', again: 'p2', events, name: 'the unnamed request', pipeline } as const;
  for (const way of ['caller', 'log'] as const) await losing(lossy, { ...append, way });
  let count = 0;
  // Twice two appends, all of which the log has.
  await waitUntil('the unnamed event is counted', BOUND_EXACT_MS, async () => {
    count = (await countsOf(pipeline, 'view', ['without-id']))?.get('without-id') ?? 0;
    return count >= 4;
  });
  mustBe('an event without id is counted as often as it was appended', count, 4);
  return count;
}
