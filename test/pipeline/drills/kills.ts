import { mustBe } from '../../chaos/drills/drill.js';
import { Caller, paced } from '../caller.js';
import { stillExact, untilExact } from '../counts.js';
import { Nemesis, pass } from '../nemesis.js';
import { Probes } from '../probes.js';
import { inRequests, realEvents, type SentEvent, Tally } from '../tally.js';
import type { DrillContext, PipelineDrill } from './drill.js';

const BOUND_EXACT_MS = 60_000;
/** Events a second of the long run; a shorter one takes fewer events. */
const EVENTS_PER_SECOND = 200;
const EVENTS_PER_REQUEST = 20;
/** Of the requests that were acknowledged: sent once more all the same. */
const SENT_AGAIN = 0.05;
const KILL_EVERY_MS = 4_500;
const TELL_EVERY_MS = 10_000;
/** After all was exact a zombie has so long to do harm. */
const SETTLE_MS = 3_000;

/** The real events, while everything that counts them dies time and again. */
export const kills: PipelineDrill = {
  name: 'kills',
  title: 'the real events, paced, while instances, nodes and the log are killed -9 and instances stall',
  seconds: { long: 300, short: 10 },
  instances: 3,
  logs: ['embedded', 'kafka'],
  async run(context) {
    const { pipeline, seconds, random, say } = context;
    const events = await realEvents(Math.ceil(seconds * EVENTS_PER_SECOND));
    const tally = new Tally();
    for (const event of events) tally.add(event);
    const caller = new Caller({ pipeline, random: random.fork('caller') });
    const probes = new Probes({ pipeline, caller, tally });
    const nemesis = new Nemesis({ pipeline, random: random.fork('nemesis'), everyMs: KILL_EVERY_MS, say });
    let acknowledged = 0;
    const telling = setInterval(
      () =>
        say(
          `${acknowledged} of ${events.length} events acknowledged, ${caller.retries} retries; ${nemesis.text}`,
        ),
      TELL_EVERY_MS,
    );
    try {
      probes.start();
      nemesis.start();
      await feed(context, events, async (request) => {
        await caller.deliver(request);
        acknowledged += request.length;
        if (random.chance(SENT_AGAIN)) await caller.deliver(request);
      });
    } finally {
      clearInterval(telling);
      await nemesis.stop();
    }
    say(`all acknowledged; ${nemesis.text}`);
    const exactAfter = await untilExact(pipeline, tally, BOUND_EXACT_MS);
    await probes.stop();
    await pass(SETTLE_MS);
    await stillExact(pipeline, tally);
    checkStruck(nemesis, seconds);
    return findings({ context, tally, nemesis, probes, exactAfter, retries: caller.retries });
  },
};

function feed(
  { seconds }: DrillContext,
  events: readonly SentEvent[],
  deliver: (request: SentEvent[]) => Promise<void>,
): Promise<void> {
  const requests = inRequests(events, EVENTS_PER_REQUEST);
  const everyMs = (seconds * 1_000) / requests.length;
  return paced(requests, { dueMs: (i) => i * everyMs, inFlight: 16 }, deliver);
}

/** A drill that struck less than it should proves less than it says. */
function checkStruck({ struck }: Nemesis, seconds: number): void {
  const enough = struck.instance >= Math.floor(seconds / 6) && struck.stall >= Math.floor(seconds / 30);
  mustBe(`enough strikes in ${seconds} s (${JSON.stringify(struck)})`, enough, true);
}

function findings(parts: {
  context: DrillContext;
  tally: Tally;
  nemesis: Nemesis;
  probes: Probes;
  exactAfter: number;
  retries: number;
}) {
  const { context, tally, nemesis, probes, exactAfter, retries } = parts;
  const { pipeline } = context;
  const said = pipeline.instances.map((name) => pipeline.said(name)).join('');
  const times = (text: string) => String(said.split(text).length - 1);
  const { sent, median, longest } = probes.figures;
  return [
    { what: 'events, keys', value: `${tally.events}, ${tally.keys}` },
    { what: 'strikes', value: nemesis.text },
    { what: 'partitions taken over or back', value: times('"owns the partition"') },
    { what: 'owners fenced by a successor', value: times('"code":"FENCED"') },
    { what: 'batches of predecessors found pending', value: times('"pendingEnd":') },
    { what: 'requests retried', value: String(retries) },
    { what: 'keys off in total or per hour', value: '0' },
    { what: 'counted to the end after the last event', value: `${exactAfter.toFixed(1)} s` },
    {
      what: `acknowledged to counted, median and longest of ${sent} probes`,
      value: `${median.toFixed(1)} s, ${longest.toFixed(1)} s`,
    },
  ];
}
