import { encodeRecord, partitionOf } from '../../../services/event.js';
import type { EventLog } from '../../../services/log/log.js';
import { waitUntil } from '../../chaos/drill-cluster.js';
import { mustBe } from '../../chaos/drills/drill.js';
import { LinkProxy } from '../../chaos/proxy.js';
import { Caller } from '../caller.js';
import { stillExact, untilExact } from '../counts.js';
import { endOf } from '../log-ends.js';
import { freePorts } from '../ports.js';
import { type SentEvent, Tally } from '../tally.js';
import type { DrillContext, PipelineDrill } from './drill.js';

const POISON = 120;
const GARBAGE = 3;
const BOUND_EXACT_MS = 60_000;
const CALL = { timeoutMs: 5_000 };
const TWO_DAYS_MS = 2 * 86_400_000;
/** Exit code of a replay that could not replay some. */
const PARTLY = 1;

interface Listed {
  key: string;
  replay: string | null;
}

/** Records that do not count do not block, and each can be made to count once, however often it is replayed. */
export const deadLetters: PipelineDrill = {
  name: 'deadletters',
  title: 'poison records among good ones; replayed, the replay killed in between, and again',
  seconds: { long: 0, short: 0 },
  instances: 1,
  logs: ['embedded'],
  async run(context) {
    const { pipeline, say } = context;
    const log = await pipeline.log.connect();
    try {
      const tally = new Tally();
      const poison = await sendAll(context, log, tally);
      await untilExact(pipeline, tally, BOUND_EXACT_MS);
      const listed = await list(context);
      mustBe('dead letters that are listed', listed.length, POISON + GARBAGE);
      say(`${listed.length} dead letters, and everything else is counted`);
      const timestamp = Date.now() - 3_600_000;
      const set = ['--set', `timestamp=${new Date(timestamp).toISOString()}`];
      const cutOff = await killedReplay(context, log, set);
      say(`replay killed: ${cutOff} letters had begun and were not done`);
      for (const event of poison) tally.add({ ...event, timestamp });
      const both = await Promise.all([
        replayAll(context, 'replay-1', set),
        replayAll(context, 'replay-2', set),
      ]);
      const again = await replayAll(context, 'replay-3', set);
      mustBe('letters that a further replay finds done', again.before, POISON);
      const exactAfter = await untilExact(pipeline, tally, BOUND_EXACT_MS);
      await stillExact(pipeline, tally);
      return [
        { what: 'good events counted beside them', value: String(tally.events - POISON) },
        { what: 'dead letters, of which can count', value: `${listed.length}, ${POISON}` },
        { what: 'in the middle of a replay when it was killed', value: String(cutOff) },
        { what: 'two replays at once then', value: both.map((counts) => JSON.stringify(counts)).join(' ') },
        { what: 'keys off in total or per hour', value: '0' },
        { what: 'counted to the end after the last replay', value: `${exactAfter.toFixed(1)} s` },
      ];
    } finally {
      await log.close();
    }
  },
};

/** Poison goes straight to the log, between good events of the same videos. Gives what the poison would count. */
async function sendAll(
  { pipeline, random }: DrillContext,
  log: EventLog,
  tally: Tally,
): Promise<SentEvent[]> {
  const caller = new Caller({ pipeline, random });
  const poison: SentEvent[] = [];
  for (let i = 0; i < POISON; i++) {
    const good = {
      videoId: `video-${i % 20}`,
      eventType: 'like',
      timestamp: Date.now(),
      value: random.below(100),
    };
    tally.add(good);
    const bad = { ...good, timestamp: Date.now() + TWO_DAYS_MS, value: 1_000 + i };
    poison.push(bad);
    const { timestamp: timestampMs, ...fields } = bad;
    await appendTo(log, bad.videoId, encodeRecord({ ...fields, timestampMs, recordId: undefined }));
    if (i < GARBAGE) await appendTo(log, bad.videoId, Buffer.from(`garbage ${i}`));
    await caller.deliver([{ ...good, eventId: `good-${i}` }]);
  }
  return poison;
}

function appendTo(log: EventLog, videoId: string, record: Buffer) {
  const partition = partitionOf(videoId, log.description.partitions);
  return log.append([{ partition, records: [record] }], CALL);
}

async function list({ pipeline }: DrillContext): Promise<Listed[]> {
  const { code, stdout, stderr } = await pipeline.command('list', [
    'deadletter',
    'list',
    '--json',
    '--limit',
    '1000',
  ]);
  mustBe(`exit code of deadletter list (${stderr})`, code, 0);
  return lines<Listed>(stdout);
}

/**
 * A replay whose answers from the log stop coming once it has begun to append, killed then. Gives how many letters
 * it left begun.
 */
async function killedReplay(context: DrillContext, log: EventLog, set: readonly string[]): Promise<number> {
  const { pipeline } = context;
  const [port] = await freePorts(1);
  const proxy = new LinkProxy(port!, pipeline.ports.log);
  proxy.back.delayMs = 300; // longer than between two looks at the log
  await proxy.listen();
  const before = await endOf(log);
  const words = ['deadletter', 'replay', '--all', ...set, '--log', `127.0.0.1:${port}`];
  const replaying = pipeline.command('killed-replay', words);
  try {
    await waitUntil('the replay has appended', 20_000, async () => {
      const hasBegun = (await endOf(log)) > before;
      if (hasBegun) {
        proxy.back.flow = 'hold';
        proxy.applied();
      }
      return hasBegun;
    });
    await pipeline.processes.kill('killed-replay');
    await replaying;
  } finally {
    proxy.refuse();
  }
  const listed = await list(context);
  const begun = listed.filter(({ replay }) => replay === 'began').length;
  mustBe('the replay was killed between append and mark', begun > 0, true);
  return begun;
}

/** To its end; how often each outcome. */
async function replayAll({ pipeline }: DrillContext, name: string, set: readonly string[]) {
  const { code, stdout, stderr } = await pipeline.command(name, [
    'deadletter',
    'replay',
    '--all',
    '--json',
    ...set,
  ]);
  mustBe(`exit code of a replay of which garbage is a part (${stderr})`, code, PARTLY);
  const counts: Record<string, number> = {};
  for (const { outcome } of lines<{ outcome: string }>(stdout)) counts[outcome] = (counts[outcome] ?? 0) + 1;
  mustBe('refused', counts.refused, GARBAGE);
  return counts;
}

function lines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
