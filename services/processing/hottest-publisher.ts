import type { TallyringClient } from '../../client/client.js';
import type { HotVideo } from './hot-videos.js';

/** The key whose columns are the hottest videos of each partition of a pipeline. */
export const HOTTEST_KEY = 'tallyring:hottest';
/** A column holds at most 32 KiB. */
const MAX_TEXT_BYTES = 30_000;
const MOST_VIDEOS = 50;

export interface HottestText {
  at: number;
  windowMs: number;
  byType: Record<string, HotVideo[]>;
}

/** The text of a column, with as many videos as it holds; undefined when not one of each type fits. */
export function hottestText(text: HottestText): string | undefined {
  for (let limit = MOST_VIDEOS; limit >= 1; limit = Math.floor(limit / 2)) {
    const byType = Object.entries(text.byType).map(
      ([type, videos]) => [type, videos.slice(0, limit)] as const,
    );
    const json = JSON.stringify({ ...text, byType: Object.fromEntries(byType) });
    if (Buffer.byteLength(json) <= MAX_TEXT_BYTES) return json;
  }
  return undefined;
}

export interface PublisherParts {
  client: Pick<TallyringClient, 'setColumns'>;
  pipeline: string;
  windowMs: number;
  hottest(limit: number): Map<number, Record<string, HotVideo[]>>;
  wallMs(): number;
  timeoutMs: number;
}

/** Writes what is hot in each partition into the store, where the query service finds it. */
export async function publishHottest(parts: PublisherParts): Promise<void> {
  const columns: Record<string, string> = {};
  for (const [partition, byType] of parts.hottest(MOST_VIDEOS)) {
    const text = hottestText({ at: parts.wallMs(), windowMs: parts.windowMs, byType });
    if (text !== undefined) columns[`${parts.pipeline}/${partition}`] = text;
  }
  if (Object.keys(columns).length === 0) return;
  await parts.client.setColumns(HOTTEST_KEY, columns, { timeoutMs: parts.timeoutMs });
}
