import Table from 'cli-table3';
import type { Bar, Figure } from './figures.js';

/** Whole numbers with separators from 100 on, three significant digits below. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

export function formatBar(bar: Bar | undefined): string {
  if (!bar) return '';
  const sign = bar.kind === 'at least' ? '≥' : '≤';
  const goal = `goal ${sign} ${formatNumber(bar.goal)}`;
  return bar.first === undefined ? goal : `${sign} ${formatNumber(bar.first)}, ${goal}`;
}

export function verdict(figure: Figure): string {
  if (figure.met === undefined) return '';
  if (!figure.met) return 'NOT MET';
  return figure.goalMet ? 'goal met' : 'met';
}

/** One row of text a figure: name, value, unit, bar, verdict, detail. */
export function figureRow(figure: Figure): string[] {
  const { name, value, unit, bar, detail } = figure;
  return [name, formatNumber(value), unit, formatBar(bar), verdict(figure), detail];
}

export function renderTable(figures: readonly Figure[]): string {
  const table = new Table({
    head: ['figure', 'value', 'unit', 'bar', 'verdict', 'how'],
    colAligns: ['left', 'right', 'left', 'left', 'left', 'left'],
    colWidths: [null, null, null, null, null, 60],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  table.push(...figures.map(figureRow));
  return table.toString();
}
