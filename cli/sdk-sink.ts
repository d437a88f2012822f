import { connect, TallyringError } from '../client/index.js';
import type { EventSink, SinkEvent, SinkOptions } from './environment.js';

/** How long `close` waits for what `flush` did not see acknowledged. */
const CLOSE_TIMEOUT_MS = 10_000;

/** The SDK as `import` needs it. */
export async function openSdkSink(options: SinkOptions): Promise<EventSink> {
  const { contactPoints, localDatacenter, consistency, onNode } = options;
  const client = await connect({
    contactPoints,
    localDatacenter,
    consistency,
    onNodeDown: ({ nodeId }) => onNode(nodeId, false),
    onNodeUp: ({ nodeId }) => onNode(nodeId, true),
  });
  const take = ({ key, eventType, value, timestampMs }: SinkEvent) =>
    client.count(key, eventType, value, timestampMs);

  async function takeWhenDrained(event: SinkEvent): Promise<void> {
    for (;;) {
      await client.drained();
      try {
        take(event);
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
      }
    }
  }

  return {
    count(event) {
      try {
        take(event);
        return undefined;
      } catch (error) {
        if (!isFull(error)) throw error;
        return takeWhenDrained(event);
      }
    },
    flush: () => client.flush(),
    close: () => client.close({ timeoutMs: CLOSE_TIMEOUT_MS }),
  };
}

function isFull(error: unknown): boolean {
  return error instanceof TallyringError && error.code === 'OVERLOADED';
}
