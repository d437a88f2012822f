import { waitUntil } from '../chaos/drill-cluster.js';
import { requestJson } from './http.js';
import type { Pipeline } from './pipeline.js';
import type { Tally, Values } from './tally.js';

/** What the query service answers, against a tally. */

const URL_CHARACTERS = 6_000;
const MAX_VIDEOS = 100;
const SHOWN = 5;
const HOUR_MS = 3_600_000;
const READ_MS = 20_000;

interface AnsweredVideo extends Values {
  videoId: string;
  error?: { message: string };
  series?: ({ startTime: string } & Values)[];
}

/** Keys that are not as they should be, in words; none: all is exact. */
export async function differences(pipeline: Pipeline, tally: Tally): Promise<string[]> {
  const found: string[] = [];
  for (const [eventType, totals] of tally.totals) {
    const series = tally.hours.get(eventType)!;
    // Those that began at the same time together: their common range is shorter.
    const firstOf = (videoId: string) => Math.min(...series.get(videoId)!.keys());
    const names = [...totals.keys()].sort((a, b) => firstOf(a) - firstOf(b));
    for (const videos of inUrls(names)) {
      const counted = await ask(pipeline, 'getCount', { eventType }, videos);
      const stats = await ask(
        pipeline,
        'getStats',
        { eventType, ...rangeOf(videos.map((videoId) => series.get(videoId)!)) },
        videos,
      );
      for (const [i, videoId] of videos.entries()) {
        const total = totals.get(videoId)!;
        const name = `${eventType} of ${videoId}`;
        compare(found, `getCount, ${name}`, valuesOf(counted[i]!), total);
        compare(found, `getStats, ${name}`, valuesOf(stats[i]!), total);
        const hours = [...series.get(videoId)!].sort(([a], [b]) => a - b);
        const points = (stats[i]!.series ?? []).map((point) => [
          Date.parse(point.startTime),
          valuesOf(point),
        ]);
        compare(found, `hours, ${name}`, points, hours);
      }
    }
  }
  return found;
}

/**
 * Waits until nothing is behind and all is exact, with a bound; throws the first differences. Gives the seconds until
 * every partition was counted to its end: reading everything takes some more.
 */
export async function untilExact(pipeline: Pipeline, tally: Tally, boundMs: number): Promise<number> {
  const startMs = performance.now();
  let caughtUpAfter = 0;
  let found: string[] = [];
  let failure = '';
  const isExact = async () => {
    if (!(await isCaughtUp(pipeline))) return false;
    caughtUpAfter = (performance.now() - startMs) / 1_000;
    found = await differences(pipeline, tally).catch((error: Error) => {
      failure = error.message;
      return ['the query service does not answer'];
    });
    return found.length === 0;
  };
  await waitUntil('counted exactly', boundMs, isExact).catch(async (error: Error) => {
    const messages = (await pipeline.healths()).map(({ name, message }) => `${name}: ${message}`);
    const shown = [...found.slice(0, SHOWN), failure, ...messages].join('\n  ');
    throw new Error(`${error.message}; ${found.length} differences of ${tally.keys} keys:\n  ${shown}`);
  });
  return caughtUpAfter;
}

/** Every partition has an owner that has counted all of it. */
async function isCaughtUp(pipeline: Pipeline): Promise<boolean> {
  const partitions = (await pipeline.healths()).flatMap((health) => health.partitions);
  const done = partitions.filter(({ state, lag }) => state === 'owner' && lag === 0);
  return new Set(done.map(({ partition }) => partition)).size === pipeline.log.partitions;
}

/** Exact, once more: nothing may have come on top. */
export async function stillExact(pipeline: Pipeline, tally: Tally): Promise<void> {
  const found = await differences(pipeline, tally);
  if (found.length > 0) throw new Error(`no more exact:\n  ${found.slice(0, SHOWN).join('\n  ')}`);
}

/** Totals of some videos; undefined when they cannot be read now. */
export async function countsOf(
  pipeline: Pipeline,
  eventType: string,
  videoIds: readonly string[],
): Promise<Map<string, number> | undefined> {
  const counts = new Map<string, number>();
  try {
    for (const videos of inUrls(videoIds)) {
      for (const { videoId, count } of await ask(pipeline, 'getCount', { eventType }, videos))
        counts.set(videoId, count);
    }
    return counts;
  } catch {
    return undefined;
  }
}

function rangeOf(series: readonly ReadonlyMap<number, Values>[]): Record<string, string> {
  const starts = series.flatMap((hours) => [...hours.keys()]);
  const bounds = [Math.min(...starts), Math.max(...starts) + HOUR_MS];
  const [startTime, endTime] = bounds.map((ms) => new Date(ms).toISOString());
  return { startTime: startTime!, endTime: endTime!, granularity: 'hour' };
}

async function ask(
  pipeline: Pipeline,
  what: string,
  fields: Record<string, string>,
  videos: readonly string[],
): Promise<AnsweredVideo[]> {
  const parameters = new URLSearchParams(fields);
  for (const videoId of videos) parameters.append('videoId', videoId);
  const { status, body } = await requestJson(`${pipeline.urlOf('query')}/${what}?${parameters}`, {
    headers: { 'cache-control': 'no-cache' },
    timeoutMs: READ_MS,
  });
  if (status !== 200) throw new Error(`${what} answered ${status}: ${JSON.stringify(body)}`);
  const answered = body.videos as AnsweredVideo[];
  const failed = answered.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`${what} of ${failed.videoId}: ${failed.error!.message}`);
  return answered;
}

function valuesOf({ count, sum, min, max }: Values): Values {
  return { count, sum, min, max };
}

function compare(found: string[], what: string, answered: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(answered), JSON.stringify(expected)];
  if (a !== b) found.push(`${what}: ${a.slice(0, 300)}, expected ${b.slice(0, 300)}`);
}

function inUrls(videoIds: readonly string[]): string[][] {
  const groups: string[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  for (const videoId of videoIds) {
    const more = encodeURIComponent(videoId).length + '&videoId='.length;
    if (characters + more > URL_CHARACTERS || groups.at(-1)!.length >= MAX_VIDEOS) {
      groups.push([]);
      characters = 0;
    }
    groups.at(-1)!.push(videoId);
    characters += more;
  }
  return groups;
}
