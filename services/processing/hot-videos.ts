/** What a summary says of one video: at least estimate − error, at most estimate. */
export interface HotVideo {
  videoId: string;
  estimate: number;
  error: number;
}

export interface HotVideosOptions {
  /** Videos that are kept of each event type, and event types. */
  capacity: number;
  maxEventTypes: number;
  /** How far back it looks, about: older events fade (forward decay, Cormode et al. 2009). */
  windowMs: number;
}

/** New videos of one type that are added up exactly before they are merged into the summary. */
const MAX_FRESH = 20_000;

/**
 * The hottest videos by event type: bounded and approximate. A Misra-Gries summary (mergeable, Agarwal et al.
 * 2012): what does not fit takes the same amount from all others, and that amount is the error.
 */
export class HotVideos {
  readonly #options: HotVideosOptions;
  readonly #summaries = new Map<string, Summary>();
  #fadedAtMs: number;

  constructor(options: HotVideosOptions, nowMs: number) {
    this.#options = options;
    this.#fadedAtMs = nowMs;
  }

  add(eventType: string, videoId: string): void {
    let summary = this.#summaries.get(eventType);
    if (summary === undefined) {
      if (this.#summaries.size >= this.#options.maxEventTypes) return;
      summary = new Summary(this.#options.capacity);
      this.#summaries.set(eventType, summary);
    }
    summary.add(videoId);
  }

  /** The hottest of each type, at most `limit` of them, seen from now. */
  report(nowMs: number, limit: number): Record<string, HotVideo[]> {
    const factor = Math.exp(-Math.max(0, nowMs - this.#fadedAtMs) / this.#options.windowMs);
    this.#fadedAtMs = nowMs;
    const byType: Record<string, HotVideo[]> = {};
    for (const [eventType, summary] of this.#summaries) {
      summary.fade(factor);
      const hottest = summary.hottest(limit);
      if (hottest.length > 0) byType[eventType] = hottest;
      else if (summary.isNothing) this.#summaries.delete(eventType);
    }
    return byType;
  }
}

/** Less than this is nothing. */
const LEAST = 0.01;

class Summary {
  readonly #capacity: number;
  readonly #fresh = new Map<string, number>();
  #counts = new Map<string, number>();
  /** What was taken from every count so far. */
  #error = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** All has faded, what was taken away included. */
  get isNothing(): boolean {
    return this.#counts.size === 0 && this.#fresh.size === 0 && this.#error < LEAST;
  }

  add(videoId: string): void {
    this.#fresh.set(videoId, (this.#fresh.get(videoId) ?? 0) + 1);
    if (this.#fresh.size >= MAX_FRESH) this.#merge();
  }

  fade(factor: number): void {
    for (const [videoId, count] of this.#counts) this.#counts.set(videoId, count * factor);
    this.#error *= factor;
    this.#merge();
  }

  hottest(limit: number): HotVideo[] {
    const error = this.#error;
    return [...this.#counts]
      .slice(0, limit)
      .map(([videoId, count]) => ({ videoId, estimate: round(count + error), error: round(error) }));
  }

  #merge(): void {
    for (const [videoId, count] of this.#fresh) {
      this.#counts.set(videoId, (this.#counts.get(videoId) ?? 0) + count);
    }
    this.#fresh.clear();
    const sorted = [...this.#counts].sort((a, b) => b[1] - a[1]);
    const taken = sorted[this.#capacity]?.[1] ?? 0;
    this.#error += taken;
    this.#counts = new Map();
    for (const [videoId, count] of sorted.slice(0, this.#capacity)) {
      if (count - taken > LEAST) this.#counts.set(videoId, count - taken);
    }
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
