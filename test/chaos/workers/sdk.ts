import { connect, PendingError, type TallyringClient } from '../../../client/index.js';
import { asTallyringError } from '../../../proto/errors.js';
import { directTransport } from './direct-transport.js';
import type { EndOutcome } from './records.js';
import { CALL_TIMEOUT_MS, paced, randomIncrement, randomRead, readOf, type WorkerParts } from './setup.js';

/** Far more than it takes once the faults are over. */
const SETTLE_MS = 60_000;
const CLOSE_MS = 30_000;
const FLUSH_EVERY_MS = 1_000;
const MAX_WAITING = 20_000;

/** An application with the SDK: while its process lives, all that the SDK took is counted exactly once. */
export async function runSdk(parts: WorkerParts): Promise<void> {
  const { setup, random } = parts;
  const client = await untilConnected(parts);
  if (client === undefined) return;
  const application = new Application(client, parts);
  const flushing = setInterval(() => application.flush(), FLUSH_EVERY_MS);
  await paced(parts, () => {
    if (random.chance(0.15)) application.read(randomRead(setup, random));
    else if (application.waiting < MAX_WAITING) application.increment();
  });
  clearInterval(flushing);
  application.flush();
  await Promise.race([application.settled(), new Promise((resolve) => setTimeout(resolve, SETTLE_MS))]);
  // What is not acknowledged by the end of this is in doubt.
  await client.close({ timeoutMs: CLOSE_MS }).catch(() => undefined);
  await application.settled();
}

async function untilConnected({ setup, stopped, random }: WorkerParts): Promise<TallyringClient | undefined> {
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  while (!over) {
    try {
      return await connect({
        contactPoints: Object.values(setup.addresses),
        transport: directTransport(setup.addresses),
        consistency: 'QUORUM',
        flushIntervalMs: random.pick([5, 20, 200]),
        countIntervalMs: random.pick([50, 200]),
        maxFlushCells: random.pick([50, 1_000, 20_000]),
      });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  return undefined;
}

class Application {
  readonly #client: TallyringClient;
  readonly #parts: WorkerParts;
  readonly #open = new Set<Promise<void>>();
  /** Counted without a promise of their own: the next flush tells. */
  #fired: number[] = [];

  constructor(client: TallyringClient, parts: WorkerParts) {
    this.#client = client;
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#open.size + this.#fired.length;
  }

  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  /** Two of three are awaited, the third only fired. What was just acknowledged is now and then looked at. */
  increment(): void {
    const { setup, random, recorder } = this.#parts;
    const isFired = random.chance(0.33);
    const event = randomIncrement(setup, random);
    const attempted = isFired ? { ...event, level: 'QUORUM' as const } : event;
    const { key, eventType, value: by, timestampMs: timestamp, level: consistency } = attempted;
    const id = recorder.increment(attempted);
    if (isFired) {
      try {
        this.#client.count(key, eventType, by, timestamp);
        this.#fired.push(id);
      } catch (error) {
        recorder.incrementEnded(id, 'not applied', asTallyringError(error).code);
      }
      return;
    }
    const timeoutMs = CALL_TIMEOUT_MS;
    const call = this.#client.increment(key, eventType, { by, timestamp, consistency, timeoutMs });
    this.#watch(call, [id], {
      // What increment() throws at once was not counted; so are its other errors but PendingError.
      otherwise: 'not applied',
      acknowledged: () => {
        if (random.chance(0.1)) this.read(readOf(setup, random, { key, eventType }));
      },
    });
  }

  flush(): void {
    const fired = this.#fired;
    this.#fired = [];
    if (fired.length === 0) return;
    // They were taken: whatever flush says of its own failure, none of them is not applied.
    this.#watch(this.#client.flush({ timeoutMs: CALL_TIMEOUT_MS }), fired, { otherwise: 'in doubt' });
  }

  read(attempted: ReturnType<typeof readOf>): void {
    const { recorder } = this.#parts;
    const { key, eventType, granularity, timestampMs, level } = attempted;
    recorder.read(attempted);
    const options = { consistency: level, timeoutMs: CALL_TIMEOUT_MS, granularity, timestamp: timestampMs };
    this.#keep(
      this.#client.get(key, eventType, options).then(
        ({ count, sum }) => recorder.readEnded(attempted, { count, sum }),
        (error: unknown) => recorder.readEnded(attempted, { error: asTallyringError(error).code }),
      ),
    );
  }

  #watch(
    call: Promise<void>,
    ids: readonly number[],
    { otherwise, acknowledged }: { otherwise: EndOutcome; acknowledged?: () => void },
  ): void {
    const { recorder } = this.#parts;
    const end = (outcome: EndOutcome, error?: unknown) => {
      const code = error === undefined ? undefined : asTallyringError(error).code;
      for (const id of ids) recorder.incrementEnded(id, outcome, code);
      if (outcome === 'acknowledged') acknowledged?.();
    };
    this.#keep(
      call.then(
        () => end('acknowledged'),
        (error: unknown) => {
          if (!(error instanceof PendingError)) return end(otherwise, error);
          // Only the wait ended: the SDK goes on writing it.
          return error.settled.then(
            () => end('acknowledged'),
            (thrown: unknown) => end('in doubt', thrown),
          );
        },
      ),
    );
  }

  #keep(call: Promise<void>): void {
    const kept = call.finally(() => this.#open.delete(kept));
    this.#open.add(kept);
  }
}
