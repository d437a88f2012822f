import { setTimeout as wait } from 'node:timers/promises';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { checkEvent } from '../services/processing/http/event-input.js';
import type { Environment, EventSink, HttpAnswer, SinkEvent } from './environment.js';
import { plural } from './format.js';

/**
 * What `import --via log` counts into: the processing service. Every event has an eventId, its own or one made of
 * the run and its line, so that whatever is sent again counts once within the service's dedupWindow.
 */

export interface LogSinkOptions {
  environment: Pick<Environment, 'http' | 'sleep' | 'nowMs'>;
  /** Of the service's instances, without a slash at the end; any of them will do. */
  urls: readonly string[];
  /** Names the events that have no eventId, with their lines. */
  runId: string;
  onRejected(line: number, message: string): void;
  note(text: string): void;
  /** Aborted when the caller no longer wants to wait for room. */
  giveUp: AbortSignal;
}

const BATCH_EVENTS = 1_000;
const BATCH_BYTES = 256 * 1024;
const MAX_IN_FLIGHT = 4;
const REQUEST_TIMEOUT_MS = 20_000;
/** How long a flush waits before it says what is not acknowledged, and once the caller wants to leave. */
const FLUSH_WAIT_MS = 5_000;
const LAST_WAIT_MS = 1_000;
const LONGEST_PAUSE_MS = 2_000;
/** Failures in a row after which one says so. */
const NOTED_FAILURES = 4;

interface Batch {
  /** Events as JSON, and their lines. */
  texts: string[];
  lines: number[];
  bytes: number;
}

interface Accepted {
  rejected: { index: number; message: string }[];
  dedupWindow: number;
}

export class LogSink implements EventSink {
  readonly #options: LogSinkOptions;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: Batch = { texts: [], lines: [], bytes: 0 };
  #unacknowledged = 0;
  #preferred = 0;
  #failure: TallyringError | undefined;
  #isClosed = false;
  #isNoted = false;
  /** As the service says; undefined before its first answer. */
  dedupWindow: number | undefined;

  constructor(options: LogSinkOptions) {
    this.#options = options;
  }

  count(event: SinkEvent): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const { environment, runId, giveUp } = this.#options;
    const {
      key,
      eventType,
      value,
      timestampMs,
      line,
      eventId = `import:${runId}:${line}`,
      attributes,
    } = event;
    // An int64 beyond what the service takes is refused by the check all the same.
    const input = {
      eventId,
      videoId: key,
      eventType,
      timestamp: timestampMs,
      value: Number(value),
      attributes,
    };
    checkEvent(input, environment.nowMs());
    const text = JSON.stringify(input);
    this.#batch.texts.push(text);
    this.#batch.lines.push(line);
    this.#batch.bytes += text.length;
    this.#unacknowledged++;
    const { texts, bytes } = this.#batch;
    if (texts.length >= BATCH_EVENTS || bytes >= BATCH_BYTES) this.#sendBatch();
    return this.#inFlight.size < MAX_IN_FLIGHT || giveUp.aborted ? undefined : this.#room();
  }

  async flush(): Promise<void> {
    this.#sendBatch();
    const timer = new AbortController();
    const waitMs = this.#options.giveUp.aborted ? LAST_WAIT_MS : FLUSH_WAIT_MS;
    const late = wait(waitMs, 'late', { signal: timer.signal }).catch(() => {});
    const first = await Promise.race([Promise.all(this.#inFlight), late]);
    timer.abort();
    if (this.#failure !== undefined) throw this.#failure;
    if (first === 'late') throw this.#pending();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#failure === undefined && this.#unacknowledged > 0) throw this.#pending();
  }

  #pending(): TallyringError {
    const text = `${plural(this.#unacknowledged, 'event')} not acknowledged by the service`;
    return new TallyringError('PENDING', text, { mayHaveApplied: true });
  }

  async #room(): Promise<void> {
    const { giveUp } = this.#options;
    let stop = () => {};
    const givenUp = new Promise<void>((resolve) => {
      stop = resolve;
    });
    giveUp.addEventListener('abort', stop, { once: true });
    try {
      while (this.#inFlight.size >= MAX_IN_FLIGHT && !giveUp.aborted && this.#failure === undefined)
        await Promise.race([...this.#inFlight, givenUp]);
    } finally {
      giveUp.removeEventListener('abort', stop);
    }
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch.texts.length === 0) return;
    this.#batch = { texts: [], lines: [], bytes: 0 };
    const sent: Promise<void> = this.#send(batch)
      .catch((thrown: unknown) => {
        this.#failure ??= asTallyringError(thrown);
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }

  /** Until the service has it, and with the same ids each time. Rejects when that is hopeless. */
  async #send(batch: Batch): Promise<void> {
    const { environment, urls, note } = this.#options;
    const body = `{"events":[${batch.texts.join(',')}]}`;
    for (let failures = 1; !this.#isClosed; failures++) {
      const url = urls[this.#preferred % urls.length]!;
      const request = { url: `${url}/processEvents`, body, timeoutMs: REQUEST_TIMEOUT_MS };
      const answer = await environment.http(request).catch((thrown: unknown) => asTallyringError(thrown));
      if (!(answer instanceof Error)) {
        if (answer.status === 200) return this.#accepted(batch, answer);
        if (answer.status === 400 || answer.status === 413) return this.#refused(batch, answer);
        if (answer.status === 404 || answer.status === 405) throw notTheService(url, answer.status);
      }
      this.#preferred++;
      if (failures >= NOTED_FAILURES && !this.#isNoted) {
        this.#isNoted = true;
        note(`the service does not take events (${problemOf(answer)}); still trying (Ctrl-C gives up)`);
      }
      await environment.sleep(Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(failures, 8)));
    }
  }

  #accepted(batch: Batch, { body }: HttpAnswer): void {
    const { rejected, dedupWindow } = body as Accepted;
    for (const { index, message } of rejected) this.#options.onRejected(batch.lines[index]!, message);
    this.dedupWindow = dedupWindow;
    this.#unacknowledged -= batch.texts.length;
    if (this.#isNoted) this.#options.note('the service takes events again');
    this.#isNoted = false;
  }

  /** Refused as a whole, so that nothing was taken: in halves it may go, down to the event that is to blame. */
  async #refused({ texts, lines }: Batch, answer: HttpAnswer): Promise<void> {
    if (texts.length === 1) {
      this.#options.onRejected(lines[0]!, problemOf(answer));
      this.#unacknowledged--;
      return;
    }
    const half = texts.length >> 1;
    await this.#send({ texts: texts.slice(0, half), lines: lines.slice(0, half), bytes: 0 });
    await this.#send({ texts: texts.slice(half), lines: lines.slice(half), bytes: 0 });
  }
}

export function notTheService(url: string, status: number): TallyringError {
  const text = `what answers at ${url} is no processing service (HTTP ${status}); give its address with --url`;
  return new TallyringError('FAILED_PRECONDITION', text, { mayHaveApplied: false });
}

/** What an answer, or none, says is wrong. */
export function problemOf(answer: HttpAnswer | TallyringError): string {
  if (answer instanceof Error) return answer.message;
  const { error } = (answer.body ?? {}) as { error?: { message?: string } };
  return error?.message ?? `HTTP ${answer.status}`;
}
