import { HOTTEST_KEY } from '../../services/processing/hottest-publisher.js';
import { FakeStore } from '../unit/query/fake-store.js';

/** A store with forty days of a few videos, the same at every run. */

export const NOW_MS = Date.parse('2026-03-18T14:24:00Z');
const HOUR_MS = 3_600_000;
const DAYS = 40;

const VIDEOS: [videoId: string, name: string, channel: string, weight: number][] = [
  ['harbour-live', 'Harbour webcam, all night long', 'North Quay', 940],
  ['sourdough-101', 'Sourdough in one afternoon', 'Flour & Salt', 610],
  ['k2-winter', 'K2 in winter: the long way down', 'High Places', 455],
  ['cello-suite-1', 'Bach, Cello Suite No. 1 (live)', 'Chamber Hall', 380],
  ['tiny-house-7', 'We built it for 9,000', 'Small Rooms', 270],
  ['otters.mp4', 'Otters hold hands while they sleep', 'Riverbank', 214],
  ['fix-a-bike', 'Fix any bicycle with three tools', 'Spokes', 130],
  ['lecture-12', 'Lecture 12: consistent hashing', 'Distributed Systems', 88],
];

/** Between 0 and 1, the same for the same numbers. */
function noise(a: number, b: number): number {
  const x = Math.sin(a * 127.1 + b * 311.7) * 43_758.5453;
  return x - Math.floor(x);
}

function viewsOf(weight: number, hoursAgo: number): number {
  const hour = new Date(NOW_MS - hoursAgo * HOUR_MS).getUTCHours();
  const rhythm = 0.55 + 0.45 * Math.sin(((hour - 12) / 24) * 2 * Math.PI);
  const growth = 1 - hoursAgo / (DAYS * 24 * 1.3);
  return Math.round(weight * rhythm * growth * (0.8 + 0.4 * noise(weight, hoursAgo)));
}

export function demoStore(): FakeStore {
  const store = new FakeStore();
  for (const [videoId, name, channel, weight] of VIDEOS) {
    store.setColumn(videoId, 'name', name);
    store.setColumn(videoId, 'channel', channel);
    for (let hoursAgo = 0; hoursAgo < DAYS * 24; hoursAgo++) {
      const views = viewsOf(weight, hoursAgo);
      const part = hoursAgo === 0 ? 0.4 : 1; // the hour that goes on
      countViews(store, videoId, Math.round(views * part), NOW_MS - hoursAgo * HOUR_MS);
    }
  }
  for (const partition of [0, 1]) {
    const view = VIDEOS.filter((_, i) => i % 2 === partition).map(([videoId, , , weight]) => ({
      videoId,
      estimate: weight * 0.9,
      error: 2,
    }));
    const list = { at: NOW_MS - 1_000, windowMs: HOUR_MS, byType: { view } };
    store.setColumn(HOTTEST_KEY, `main/${partition}`, JSON.stringify(list));
  }
  return store;
}

export function countViews(store: FakeStore, videoId: string, views: number, atMs: number): void {
  if (views > 0) store.count(videoId, 'view', atMs, views, views);
}
