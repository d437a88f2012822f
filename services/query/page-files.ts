import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StaticFile } from '../http/files.js';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'page');
const STYLES = ['page', 'video', 'lists', 'narrow'];
const SCRIPTS = ['page', 'video', 'hottest', 'chart', 'service', 'state', 'format'];

/** Of the page: all that it needs comes from here. */
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
};

/** The live page; `eventsAddress` is where it tells a newcomer to send the first event. */
export async function pageFiles(eventsAddress: string): Promise<StaticFile[]> {
  const html = await readFile(join(FOLDER, 'index.html'), 'utf8');
  const address = eventsAddress.replace(/[^\w.:[\]/-]/g, '');
  const page: StaticFile = {
    path: '/',
    contentType: 'text/html; charset=utf-8',
    body: Buffer.from(html.replace('EVENTS_ADDRESS', address)),
    headers: PAGE_HEADERS,
  };
  const assets = [
    ...SCRIPTS.map((name) => asset(`${name}.js`, 'text/javascript; charset=utf-8')),
    ...STYLES.map((name) => asset(`${name}.css`, 'text/css; charset=utf-8')),
    asset('icon.svg', 'image/svg+xml'),
  ];
  return [page, ...(await Promise.all(assets))];
}

async function asset(name: string, contentType: string): Promise<StaticFile> {
  return { path: `/assets/${name}`, contentType, body: await readFile(join(FOLDER, name)) };
}
