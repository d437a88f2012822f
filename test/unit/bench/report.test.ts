import { describe, expect, it } from 'vitest';
import { BARS, type Figure, judged } from '../../../bench/figures.js';
import { figureRow, formatBar, formatNumber, renderTable, verdict } from '../../../bench/report.js';

const cells = (value: number): Figure =>
  judged({ name: 'distinct cells', value, unit: 'cells/s', bar: BARS.distinctCells, detail: 'how' });
const p99 = (value: number): Figure =>
  judged({ name: 'p99', value, unit: 'ms', bar: BARS.readP99, detail: 'how' });

describe('judged', () => {
  it.each([
    ['below the first bar', cells(29_999), 'NOT MET'],
    ['on the first bar', cells(30_000), 'met'],
    ['on the goal', cells(100_000), 'goal met'],
    ['a latency above the bar', p99(50.1), 'NOT MET'],
    ['a latency on the bar', p99(50), 'met'],
    ['a latency on the goal', p99(10), 'goal met'],
  ])('%s', (_what, figure, text) => {
    expect(verdict(figure)).toBe(text);
  });
  it('judges a figure that has only a goal by the goal', () => {
    const figure = { name: 'ratio', unit: '×', bar: BARS.distinctCellsOverRedis, detail: '' };
    expect(judged({ ...figure, value: 0.49 }).met).toBe(false);
    expect(judged({ ...figure, value: 0.5 }).met).toBe(true);
  });
  it('has no verdict without a bar', () => {
    const figure = judged({ name: 'echo', value: 1, unit: 'calls/s', detail: '' });
    expect('met' in figure).toBe(false);
    expect(verdict(figure)).toBe('');
  });
});

describe('the table', () => {
  it('shows numbers with separators or three digits', () => {
    expect([31_234.6, 100, 99.96, 0.01234, 0].map(formatNumber)).toEqual([
      '31,235',
      '100',
      '100',
      '0.0123',
      '0',
    ]);
  });
  it('shows bar and goal with their direction', () => {
    expect(formatBar(BARS.distinctCells)).toBe('≥ 30,000, goal ≥ 100,000');
    expect(formatBar(BARS.nodeMemory)).toBe('≤ 300, goal ≤ 150');
    expect(formatBar(BARS.distinctCellsOverRedis)).toBe('goal ≥ 0.5');
    expect(formatBar(undefined)).toBe('');
  });
  it('has one row a figure with everything in it', () => {
    expect(figureRow(cells(31_000))).toEqual([
      'distinct cells',
      '31,000',
      'cells/s',
      '≥ 30,000, goal ≥ 100,000',
      'met',
      'how',
    ]);
    const text = renderTable([cells(31_000), p99(60)]);
    expect(text).toContain('31,000');
    expect(text).toContain('NOT MET');
  });
});
