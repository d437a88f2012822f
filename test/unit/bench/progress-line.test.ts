import { describe, expect, it } from 'vitest';
import { createProgressLine } from '../../../bench/progress-line.js';

function output(isTTY: boolean) {
  const texts: string[] = [];
  return { texts, isTTY, columns: 30, write: (text: string) => texts.push(text) };
}

describe('a progress line', () => {
  it('on a terminal stays on one line and within its width', () => {
    const out = output(true);
    createProgressLine(out, 'cells').show('a text that is much longer than the terminal is wide');
    expect(out.texts.length).toBe(2);
    expect(out.texts.every((text) => text.startsWith('\r\x1b[K') && !text.includes('\n'))).toBe(true);
    expect(out.texts[1]!.length).toBeLessThanOrEqual('\r\x1b[K'.length + 29);
  });
  it('elsewhere writes whole lines and leaves out what ticks all the time', () => {
    const out = output(false);
    const line = createProgressLine(out, 'cells');
    for (let i = 0; i < 100; i++) line.show(`${i} done`);
    line.end('done');
    expect(out.texts.every((text) => text.endsWith('\n') && !text.includes('\r'))).toBe(true);
    expect(out.texts.length).toBeLessThanOrEqual(3);
    expect(out.texts.at(-1)).toMatch(/^cells: done \(\d+ s\)\n$/);
  });
});
