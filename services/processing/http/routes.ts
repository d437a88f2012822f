import { checkKey } from '../../../counter/validate.js';
import type { Clock } from '../../../ports/clock.js';
import { asTallyringError, TallyringError } from '../../../proto/errors.js';
import { type Route, type RouteAnswer, route } from '../../http/routes.js';
import type { PartitionAppend } from '../../log/log.js';
import { checkEvent } from './event-input.js';
import { type Intake, type IntakeHeaders, takeIn } from './intake.js';
import type { IntakeMetrics } from './metrics.js';
import { countEventShape, describeVideoShape, processEventsShape } from './shapes.js';

/** The write side's HTTP interface: what it takes is in the log, durably, before it answers. */

export interface WriteSide {
  appender: { append(appends: readonly PartitionAppend[]): Promise<void> };
  /** The SDK client, for descriptive columns. */
  columns: { setColumns(key: string, columns: Readonly<Record<string, string | null>>): Promise<void> };
  partitions: number;
  dedupWindow: number;
  maxEventsPerRequest: number;
  clock: Clock;
  metrics: IntakeMetrics;
}

export const WRITE_API = {
  title: 'tallyring processing service',
  description:
    'Takes events into the log, durably, and counts them exactly once. A request that was not answered may be sent again: ' +
    'events with an eventId, or of a request with an Idempotency-Key, count once within the dedupWindow. Unknown fields are refused.',
};

export function writeRoutes(side: WriteSide): Route[] {
  return [
    route(processEventsShape(side.maxEventsPerRequest), ({ body, headers }) =>
      count(side, body.events, { headers, nowMs: side.clock.wallMs() }),
    ),
    route(countEventShape, ({ body, headers }) => {
      const nowMs = side.clock.wallMs();
      // Refused as a whole: there is nothing else in the request.
      checkEvent(body, nowMs);
      return count(side, [body], { headers, nowMs });
    }),
    route(describeVideoShape, async ({ body: { videoId, columns } }) => {
      await side.columns.setColumns(checkKey(videoId, 'videoId'), columns);
      return { body: { videoId, columns: Object.keys(columns).length } };
    }),
  ];
}

async function count(
  side: WriteSide,
  events: readonly unknown[],
  { headers, nowMs }: { headers: IntakeHeaders; nowMs: number },
): Promise<RouteAnswer> {
  const { appender, clock, metrics, partitions, dedupWindow } = side;
  const intake = takeIn(events, { idempotencyKey: headers['idempotency-key'], nowMs, partitions });
  const { accepted, rejected, isNamed } = intake;
  const started = clock.monotonicMs();
  try {
    await appender.append(intake.appends);
  } catch (thrown) {
    throw withAdvice(asTallyringError(thrown), intake, dedupWindow);
  } finally {
    metrics.appendSeconds.observe((clock.monotonicMs() - started) / 1000);
  }
  metrics.accepted.inc(accepted);
  metrics.rejected.inc(rejected.length);
  const retry = isNamed ? 'counts once within dedupWindow' : 'may count twice';
  return { body: { accepted, rejected, mayCountTwice: !isNamed, retry, dedupWindow } };
}

/** What went wrong on the way into the log, with what to do about it. */
function withAdvice(error: TallyringError, { isNamed }: Intake, dedupWindow: number): TallyringError {
  const { mayHaveApplied } = error;
  // Whatever the log refuses for reasons of its own is not the caller's mistake.
  const code = error.code === 'FAILED_PRECONDITION' ? 'UNAVAILABLE' : error.code;
  const isSafe = !mayHaveApplied || isNamed;
  const advice = mayHaveApplied
    ? isNamed
      ? `the events may be in the log; send the same request again: it counts once within the dedupWindow of ${dedupWindow}`
      : 'IN DOUBT: the events may be in the log, and sent again they may count twice; give eventIds or an Idempotency-Key'
    : 'nothing was taken; the same request may be sent again';
  const retryable = isSafe && (error.retryable || mayHaveApplied || code === 'UNAVAILABLE');
  return new TallyringError(code, `${error.message}; ${advice}`, { cause: error, mayHaveApplied, retryable });
}
