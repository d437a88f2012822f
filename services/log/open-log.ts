import type { KafkaLogConfig } from './config.js';
import type { DeadLetters } from './dead-letters.js';
import type { EventLog } from './log.js';

/** Where the log is: a `tallyring log` at an address, or topics of a Kafka cluster. */
export type LogPlace = { address: string } | { kafka: KafkaLogConfig };

/** Rejects UNAVAILABLE when it cannot be reached, and what each kind of log rejects with. */
export async function openLog(
  place: LogPlace,
  timeoutMs?: number,
): Promise<EventLog & { deadLetters: DeadLetters }> {
  if ('kafka' in place) {
    const { openKafkaLog } = await import('./kafka/open.js');
    return openKafkaLog({ config: place.kafka });
  }
  const { connectLog } = await import('./transport/client.js');
  return connectLog({ address: place.address, ...(timeoutMs !== undefined && { timeoutMs }) });
}
