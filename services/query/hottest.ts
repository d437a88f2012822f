import { z } from 'zod';
import type { Columns } from './store.js';

/**
 * The hottest videos as processing leaves them: columns of one key, one per partition of the log, each a bounded
 * approximate list by event type. Pure: how they become one list.
 */

const candidate = z.object({ videoId: z.string(), estimate: z.number(), error: z.number() });
const partitionList = z.object({
  /** When it was written, and of how much time before that it is. */
  at: z.number(),
  windowMs: z.number().positive(),
  byType: z.record(z.string(), z.array(candidate)),
});

export interface HotVideo {
  videoId: string;
  /** Of events, older ones of which weigh less: the true weight is at most this, and at most `error` less. */
  estimate: number;
  error: number;
}

export interface Hottest {
  videos: HotVideo[];
  /** The oldest and newest list that it is made of; absent when there is none. */
  asOf?: { oldestMs: number; newestMs: number };
  windowMs?: number;
  /** Lists that were read, that are older than their own window, and that are no such lists. */
  partitions: { used: number; outdated: number; malformed: number };
}

export function mergeHottest(
  columns: Columns,
  choice: { eventType: string; limit: number; nowMs: number },
): Hottest {
  const videos = new Map<string, HotVideo>();
  const partitions = { used: 0, outdated: 0, malformed: 0 };
  const times: number[] = [];
  let windowMs = 0;
  for (const { value } of columns.values()) {
    const list = parsed(value);
    if (list === undefined) {
      partitions.malformed++;
    } else if (list.at + list.windowMs < choice.nowMs) {
      partitions.outdated++;
    } else {
      partitions.used++;
      times.push(list.at);
      windowMs = Math.max(windowMs, list.windowMs);
      for (const hot of list.byType[choice.eventType] ?? []) add(videos, hot);
    }
  }
  const sorted = [...videos.values()].sort(
    (a, b) => b.estimate - a.estimate || (a.videoId < b.videoId ? -1 : 1),
  );
  const merged: Hottest = { videos: sorted.slice(0, choice.limit), partitions };
  if (times.length === 0) return merged;
  return { ...merged, windowMs, asOf: { oldestMs: Math.min(...times), newestMs: Math.max(...times) } };
}

/** A video has one partition; should it ever stand in two lists, both counted events of it. */
function add(videos: Map<string, HotVideo>, { videoId, estimate, error }: HotVideo): void {
  const before = videos.get(videoId);
  videos.set(videoId, {
    videoId,
    estimate: estimate + (before?.estimate ?? 0),
    error: error + (before?.error ?? 0),
  });
}

function parsed(text: string): z.output<typeof partitionList> | undefined {
  try {
    return partitionList.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
