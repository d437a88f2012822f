import { mergeShards } from '../../../counter/merge.js';
import type { Flush, FlushCell } from '../../../counter/producer.js';
import { type CellValue, foldValues, type Shard } from '../../../counter/shard.js';
import { type Granularity, windowIndex } from '../../../counter/window.js';
import { decodeEntryKey, decodeShard } from '../../../proto/entry.js';
import { encodeFlush } from '../../../proto/flush.js';

/** Encoded bytes as they travel; nothing is shared with the producer. */
export interface Message {
  key: Buffer;
  value: Buffer;
}

/** What a replica does: decode and merge. Notes when one (cell, producerId) is ever written from two states. */
export class ReplicaTwin {
  readonly #cells = new Map<string, Map<string, Shard>>();
  readonly #history = new Map<string, Map<number, Shard>>();
  readonly faults: string[] = [];

  merge(message: Message): void {
    const { key, eventType, granularity, window, producerId } = decodeEntryKey(message.key);
    const shard = decodeShard(message.value);
    const cell = `${key}/${eventType}/${granularity}/${window}`;
    const merged = mergeShards(
      this.#cells.get(cell) ?? new Map(),
      new Map([[producerId, shard]]),
      ({ producerId: id }) => this.faults.push(`two states under one sequence: ${cell} ${id}`),
    );
    this.#cells.set(cell, merged);
    this.#note(`${cell}/${producerId}`, shard);
  }

  /** Cumulative: a later sequence never counts less than an earlier one, whatever the order of arrival. */
  #note(shardName: string, shard: Shard): void {
    const states = this.#history.get(shardName) ?? new Map<number, Shard>();
    this.#history.set(shardName, states.set(shard.sequence, shard));
    const inOrder = [...states.values()].sort((a, b) => a.sequence - b.sequence);
    for (let i = 1; i < inOrder.length; i++) {
      if (inOrder[i]!.count < inOrder[i - 1]!.count) this.faults.push(`forgotten events: ${shardName}`);
    }
  }

  values(): Record<string, CellValue | undefined> {
    const sorted = [...this.#cells].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([cell, shards]) => [cell, foldValues(shards.values())]));
  }
}

/** Counts the naive way. */
export class CountingTwin {
  readonly #events = new Map<string, number[]>();

  add(
    event: { key: string; eventType: string; value: number; timestampMs: number },
    rollups: Granularity[],
  ): void {
    for (const granularity of rollups) {
      const window = windowIndex(granularity, event.timestampMs);
      const cell = `${event.key}/${event.eventType}/${granularity}/${window}`;
      this.#events.set(cell, [...(this.#events.get(cell) ?? []), event.value]);
    }
  }

  values(): Record<string, CellValue> {
    const sorted = [...this.#events].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(
      sorted.map(([cell, values]) => [
        cell,
        {
          count: values.length,
          sum: values.reduce((a, b) => a + b, 0) + 0,
          min: Math.min(...values),
          max: Math.max(...values),
        },
      ]),
    );
  }
}

/** The messages of a flush by series. */
export function messagesOf(flush: Flush): Map<FlushCell['series'], Message[]> {
  const bySeries = new Map<FlushCell['series'], Message[]>();
  encodeFlush(flush).forEach((entry, i) => {
    const { series } = flush.cells[i]!;
    bySeries.set(series, [...(bySeries.get(series) ?? []), entry]);
  });
  return bySeries;
}
