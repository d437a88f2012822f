import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Debian's chromium, or what CHROMIUM names. */
function chromiumPath(): string {
  const named = process.env.CHROMIUM;
  if (named !== undefined) return named;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(existsSync);
  if (found !== undefined) return found;
  throw new Error('there is no chromium: install it (apt-get install chromium), or name one in CHROMIUM');
}

export function launch(): Promise<Browser> {
  // Without a sandbox: the page is ours alone, and containers often have none.
  return chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });
}
