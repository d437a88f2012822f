import type { EngineWrite } from './engine.js';
import { batchOfMarker, EMPTY, markerKey } from './keyspace.js';

/** Old markers deleted per batch at most: deletion keeps pace, and no batch pays for many. */
const DELETES_PER_BATCH = 4;

/**
 * Numbers the batches so that a lost one is found. LevelDB skips an unreadable part of its log silently and
 * keeps what follows; so each batch writes a marker of its own, and at open the markers must be contiguous.
 * One counter key would not do: the next batch that is readable hides the loss.
 *
 * A marker may go when its batch can no longer be in a log, for then it is in a table file, synced and named
 * by the manifest. LevelDB keeps two logs at most: that of the memtable, and that of the memtable being
 * written out; a memtable is switched at the first write after it holds more than `writeBufferBytes`, and the
 * switch waits until the one before is written out. So count generations of more than `writeBufferBytes` of
 * payload each (payload is less than what a memtable counts: real switches come no later). The memtable of
 * a batch of generation g is full at the end of g+1 and switched by the first write of g+2; the next one is
 * full at the end of g+2, and its switch, by the first write of g+3, waited for the former. Markers of
 * generation g are deleted from generation g+4 on.
 */
export class MarkerTrail {
  readonly #generationBytes: number;
  /** First batch of each generation that may still be in a log, the current one last. */
  readonly #starts: number[];
  #bytes = 0;
  #oldest: number;
  newest: number;

  /** Continues after `newest`, where markers from `oldest` on are kept. */
  constructor(options: { oldest: number; newest: number; generationBytes: number }) {
    this.#generationBytes = options.generationBytes;
    this.#oldest = options.oldest;
    this.newest = options.newest;
    // All that LevelDB recovered at open was written to table files then: it has left the logs already.
    this.#starts = [options.newest + 1];
  }

  /** Appends the marker of the next batch and the deletion of some old ones; call once per batch. */
  append(writes: EngineWrite[], payloadBytes: number): number {
    const batch = ++this.newest;
    writes.push({ key: markerKey(batch), value: EMPTY });
    // With fewer than five generations only what was there at open may go, less its last: one marker must stay.
    const free = this.#starts.length > 4 ? this.#starts[this.#starts.length - 4]! : this.#starts[0]! - 1;
    for (let i = 0; i < DELETES_PER_BATCH && this.#oldest < free; i++) {
      writes.push({ key: markerKey(this.#oldest++), value: undefined });
    }
    this.#bytes += payloadBytes;
    if (this.#bytes > this.#generationBytes) {
      this.#bytes = 0;
      this.#starts.push(batch + 1);
      if (this.#starts.length > 5) this.#starts.shift();
    }
    return batch;
  }
}

export interface MarkersFound {
  oldest: number;
  newest: number;
  /** What is missing between them, in words; empty when contiguous. */
  gaps: string[];
}

/** Judges the markers found at open, in key order; undefined when there are none. */
export function judgeMarkers(keys: readonly Buffer[]): MarkersFound | undefined {
  if (keys.length === 0) return undefined;
  const gaps: string[] = [];
  const oldest = batchOfMarker(keys[0]!);
  let newest = oldest;
  for (const key of keys.slice(1)) {
    const batch = batchOfMarker(key);
    if (batch !== newest + 1) gaps.push(`batches ${newest + 1} to ${batch - 1} are missing from the log`);
    newest = batch;
  }
  return { oldest, newest, gaps };
}
