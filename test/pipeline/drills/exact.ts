import { Caller, paced } from '../caller.js';
import { untilExact } from '../counts.js';
import { inRequests, realEvents, Tally } from '../tally.js';
import type { PipelineDrill } from './drill.js';

const EVENTS_PER_REQUEST = 1_000;
const BOUND_EXACT_MS = 60_000;

/** The real events through all of it, undisturbed. */
export const exact: PipelineDrill = {
  name: 'exact',
  title: 'the real events through HTTP, log, processing, store and query, undisturbed',
  seconds: { long: 0, short: 0 },
  instances: 1,
  logs: ['embedded', 'kafka'],
  async run({ pipeline, random, say }) {
    const events = await realEvents();
    const tally = new Tally();
    for (const event of events) tally.add(event);
    const caller = new Caller({ pipeline, random });
    const startMs = performance.now();
    await paced(inRequests(events, EVENTS_PER_REQUEST), { dueMs: () => 0, inFlight: 2 }, async (request) => {
      await caller.deliver(request);
    });
    const seconds = (performance.now() - startMs) / 1_000;
    say(`${events.length} events acknowledged in ${seconds.toFixed(1)} s`);
    const countedAfter = await untilExact(pipeline, tally, BOUND_EXACT_MS);
    const hours = [...tally.hours.values()]
      .flatMap((videos) => [...videos.values()])
      .reduce((sum, { size }) => sum + size, 0);
    return [
      { what: 'events, keys, hours', value: `${tally.events}, ${tally.keys}, ${hours}` },
      { what: 'keys off in total or per hour (count, sum, min, max)', value: '0' },
      { what: 'counted to the end after the last event', value: `${countedAfter.toFixed(1)} s` },
    ];
  },
};
