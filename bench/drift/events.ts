import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import type { CountedEvent } from './system.js';

/** The events of a file, in order. What they add up to is computed apart (test/chaos/real-events.ts). */
export async function eventsOf(file: string): Promise<CountedEvent[]> {
  const events: CountedEvent[] = [];
  const lines = createInterface({ input: createReadStream(file).pipe(createGunzip()) });
  for await (const line of lines) {
    const { videoId, eventType } = JSON.parse(line) as { videoId: string; eventType: string };
    events.push({ key: videoId, eventType, name: `${videoId}\t${eventType}` });
  }
  return events;
}
