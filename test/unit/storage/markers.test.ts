import { describe, expect, it } from 'vitest';
import type { EngineWrite } from '../../../node/storage/engine.js';
import { markerKey } from '../../../node/storage/keyspace.js';
import { judgeMarkers, MarkerTrail } from '../../../node/storage/markers.js';

/** LevelDB's logs as its source has it: which batches are still in one, at worst. */
class LogModel {
  readonly #capacity: number;
  #filling = { batches: new Set<number>(), bytes: 0 };
  #flushing: Set<number> = new Set();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  write(batch: number, bytes: number): void {
    if (this.#filling.bytes > this.#capacity) {
      this.#flushing = this.#filling.batches;
      this.#filling = { batches: new Set(), bytes: 0 };
    }
    this.#filling.batches.add(batch);
    this.#filling.bytes += bytes;
  }

  has(batch: number): boolean {
    return this.#filling.batches.has(batch) || this.#flushing.has(batch);
  }
}

describe('MarkerTrail', () => {
  it('never deletes the marker of a batch that may be in a log, and in the end deletes the rest', () => {
    const capacity = 1_000;
    for (const phase of [0, 1, 400, 999]) {
      const trail = new MarkerTrail({ oldest: 0, newest: 0, generationBytes: capacity });
      const log = new LogModel(capacity);
      const markers = new Set([0]);
      log.write(0, phase);
      for (let i = 1; i < 2_000; i++) {
        const bytes = (i * 7919) % 300;
        const writes: EngineWrite[] = [];
        const batch = trail.append(writes, bytes);
        log.write(batch, bytes);
        for (const { key, value } of writes) {
          const number = judgeMarkers([key])!.newest;
          if (value !== undefined) markers.add(number);
          else {
            expect(log.has(number)).toBe(false);
            markers.delete(number);
          }
        }
      }
      expect(markers.size).toBeLessThan(60);
      expect(judgeMarkers([...markers].map(markerKey))).toMatchObject({ newest: 1_999, gaps: [] });
    }
  });
});

describe('judgeMarkers', () => {
  it('names each gap', () => {
    expect(judgeMarkers([3, 4, 7, 8, 10].map(markerKey))).toEqual({
      oldest: 3,
      newest: 10,
      gaps: ['batches 5 to 6 are missing from the log', 'batches 9 to 9 are missing from the log'],
    });
    expect(judgeMarkers([])).toBeUndefined();
  });
});
