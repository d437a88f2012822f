import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../ports/logger.js';
import { realClock } from '../../ports/real.js';
import { TallyringError } from '../../proto/errors.js';
import { queryConfigSchema } from '../../services/query/config.js';
import { type RunningQuery, runQuery } from '../../services/query/main.js';
import { FakeStore } from '../unit/query/fake-store.js';
import { launch } from './browser.js';
import { countViews, demoStore, NOW_MS } from './demo-store.js';

// The live page as people see it: in Chromium, on a query service with a store in memory.

const docs = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'docs');
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 780 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

let browser: Browser;
let store: FakeStore;
let service: RunningQuery;
/** What went wrong in the page: scripts, styles, anything from elsewhere. */
let problems: string[];

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

beforeEach(async () => {
  store = demoStore();
  problems = [];
  await serve(0);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await service.close();
  expect(problems).toEqual([]);
});

async function serve(port: number): Promise<void> {
  const config = queryConfigSchema.parse({ port });
  const clock = { ...realClock, wallMs: () => NOW_MS };
  const options = { logger: silentLogger, version: '0', connectStore: async () => store, clock };
  service = await runQuery(config, options);
}

async function open(options: BrowserContextOptions, hash = ''): Promise<Page> {
  const context = await browser.newContext({ locale: 'en', timezoneId: 'UTC', ...options });
  const page = await context.newPage();
  await page.clock.setFixedTime(NOW_MS);
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    // Failed requests are told by the page itself.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      problems.push(message.text());
    }
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${service.port}/`)) problems.push(request.url());
  });
  await page.goto(`http://127.0.0.1:${service.port}/${hash}`);
  return page;
}

async function live(page: Page): Promise<void> {
  await page.locator('#pulse[data-state="live"]').waitFor();
}

async function hasNoSidewaysScroll(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth');
}

const text = (page: Page, selector: string) => page.locator(selector).innerText();

describe.each([
  ['desktop', DESKTOP],
  ['phone', PHONE],
])('on a %s', (name, options) => {
  it.each(['light', 'dark'] as const)('shows the hottest video at once, %s', async (colorScheme) => {
    const page = await open({ ...options, colorScheme });
    await live(page);
    expect(await text(page, '#video-name')).toBe('Harbour webcam, all night long');
    expect(await text(page, '#video-facts')).toBe('harbour-live · North Quay');
    expect(await text(page, '#total')).toMatch(/^\d{3},\d{3}$/);
    expect(await text(page, '#average')).toBe('1');
    await expect.poll(() => page.locator('.bar').count()).toBe(24);
    expect(await page.locator('#hottest-list li').count()).toBe(8);
    expect(await hasNoSidewaysScroll(page)).toBe(true);
    if (colorScheme === 'light') {
      await page.evaluate('document.fonts.ready');
      await page.screenshot({ path: join(docs, `page-${name}.png`), fullPage: true });
    }
  });

  it('tells a newcomer what to do', async () => {
    store = new FakeStore();
    await service.close();
    await serve(0);
    const page = await open(options);
    await live(page);
    expect(await text(page, '#welcome-title')).toBe('No view was counted yet');
    expect(await text(page, '#curl')).toBe(
      `curl 127.0.0.1:7130/countEvent -H 'content-type: application/json' -d '{"videoId":"cats.mp4","eventType":"view"}'`,
    );
    expect(await hasNoSidewaysScroll(page)).toBe(true);
  });
});

describe('the page', () => {
  it('follows what is counted, without touching what stays', async () => {
    const page = await open(DESKTOP, '#videoId=lecture-12');
    await live(page);
    const before = Number((await text(page, '#total')).replaceAll(',', ''));
    // Marks on what must not be made anew.
    await page.evaluate(
      `document.querySelectorAll('.bar, #hottest-list li').forEach((each) => each.setAttribute('data-mark', ''))`,
    );
    countViews(store, 'lecture-12', 7, NOW_MS);
    await expect
      .poll(() => text(page, '#total'), { timeout: 10_000 })
      .toBe((before + 7).toLocaleString('en'));
    expect(await page.locator('.bar:not([data-mark]), #hottest-list li:not([data-mark])').count()).toBe(0);
  });

  it('keeps what is chosen in the URL', async () => {
    const page = await open(DESKTOP);
    await live(page);
    await page.getByRole('button', { name: '30 d' }).click();
    await expect.poll(() => text(page, '#chart-title')).toBe('view per day, last 30 days');
    await page.getByRole('link', { name: /Otters/ }).click();
    await expect.poll(() => text(page, '#video-name')).toContain('Otters');
    expect(new URL(page.url()).hash).toBe('#videoId=otters.mp4&eventType=view&range=30d&by=day');
    await page.reload();
    await live(page);
    expect(await text(page, '#chart-title')).toBe('view per day, last 30 days');
    await expect.poll(() => page.locator('.bar').count()).toBe(30);
    await page.goBack();
    await expect.poll(() => text(page, '#video-name')).toContain('Harbour');
  });

  it('shows many hours as an area, and all time by day', async () => {
    const page = await open(PHONE, '#videoId=k2-winter&range=30d&by=hour');
    await live(page);
    await expect.poll(() => page.locator('.area').count()).toBe(1);
    await page.getByRole('button', { name: 'All' }).click();
    await expect.poll(() => page.locator('.bar').count()).toBe(41);
    expect(await page.getByRole('button', { name: 'Hour' }).isDisabled()).toBe(true);
    expect(await hasNoSidewaysScroll(page)).toBe(true);
  });

  it('is found by typing, and by keys alone', async () => {
    const page = await open(DESKTOP);
    await live(page);
    await page.getByLabel('Video').fill('fix-a-bike');
    await page.keyboard.press('Enter');
    await expect.poll(() => text(page, '#video-name')).toBe('Fix any bicycle with three tools');
    await page.locator('#window').focus();
    await page.keyboard.press('ArrowLeft');
    await expect
      .poll(() => page.locator('#window').getAttribute('aria-valuetext'))
      .toMatch(/^Wed, Mar 18 2026, 13:00–14:00: \d+$/);
    expect(await text(page, '.tip')).toContain('13:00–14:00');
    await page.keyboard.press('Escape');
    await page.locator('#as-table summary').press('Enter');
    await expect.poll(() => page.locator('#as-table tbody tr').count()).toBe(24);
    expect(await text(page, '#as-table tbody tr:first-child')).toContain('so far');
  });

  it('a video that nobody counted has a line to try', async () => {
    const page = await open(DESKTOP, "#videoId=it's new&eventType=like");
    await live(page);
    expect(await text(page, '#welcome-title')).toBe("No like of it's new yet");
    expect(await text(page, '#curl')).toContain(`'{"videoId":"it'\\''s new","eventType":"like"}'`);
  });

  it('markup in names is text', async () => {
    store.setColumn('otters.mp4', 'name', '<img src=x onerror=alert(1)>');
    const page = await open(DESKTOP, '#videoId=otters.mp4');
    await live(page);
    expect(await text(page, '#video-name')).toBe('<img src=x onerror=alert(1)>');
  });
});

describe('when the store is away', () => {
  it('the page says so, and of when it is what it shows', async () => {
    const page = await open(PHONE, '#videoId=otters.mp4');
    await live(page);
    const total = await text(page, '#total');
    store.failure = new TallyringError('UNAVAILABLE', 'level QUORUM requires 2 replicas, 1 is live');
    await expect.poll(() => text(page, '#pulse'), { timeout: 10_000 }).toBe('as of 14:24:00');
    expect(await text(page, '#notice')).toBe(
      'The store cannot be reached: level QUORUM requires 2 replicas, 1 is live. ' +
        'Trying again every two seconds; what is shown was read at 14:24:00.',
    );
    expect(await text(page, '#total')).toBe(total);
    expect(await hasNoSidewaysScroll(page)).toBe(true);
    store.failure = undefined;
    await live(page);
    expect(await page.locator('#notice').isVisible()).toBe(false);
  });

  it('and when the service itself is, until it is back', async () => {
    const page = await open(DESKTOP);
    await live(page);
    const { port } = service;
    await service.close();
    await expect
      .poll(() => text(page, '#notice'), { timeout: 10_000 })
      .toMatch(/^The query service does not answer\./);
    await serve(port);
    await live(page);
  });

  it('what cannot be asked is said', async () => {
    const page = await open(DESKTOP, `#videoId=a&eventType=${'x'.repeat(129)}`);
    await expect.poll(() => text(page, '#notice')).toContain('eventType: eventType');
    expect(await text(page, '#notice')).toContain('This cannot be shown');
  });
});
