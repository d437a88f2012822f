import { Chart } from './chart.js';
import { formatDecimal, formatInteger, windowText } from './format.js';
import { RANGES, STEP_MS } from './state.js';

// The chosen video: its figures, its chart, and the same as a table.

const at = (id) => document.getElementById(id);

/** Sets a text only where it differs: what did not change is left alone. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function setLabel(target, name, text) {
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/** A series with its gaps filled; one of all time begins where there was something first. */
export function filledPoints({ covered, series, state, nowMs }) {
  const step = STEP_MS[state.granularity];
  const counts = new Map(series.map(({ startTime, count }) => [Date.parse(startTime), Number(count)]));
  const endMs = Date.parse(covered.endTime);
  let startMs = Date.parse(covered.startTime);
  if (state.range === 'all') startMs = Math.min(...counts.keys(), endMs - 7 * step);
  const points = [];
  for (let ms = startMs; ms < endMs; ms += step) {
    points.push({ ms, count: counts.get(ms) ?? 0, isOpen: ms + step > nowMs });
  }
  return points;
}

export class VideoCard {
  #chart;
  #shown = { points: [], state: undefined };

  constructor() {
    this.#chart = new Chart(at('chart'), (index, place) => this.#onPick(index, place));
    at('as-table').addEventListener('toggle', () => this.#showTable());
  }

  show(state, video, nowMs) {
    const { total, covered, range, name, channel } = video;
    const { videoId, eventType, granularity } = state;
    const points = filledPoints({ covered, series: range.series ?? [], state, nowMs });
    setText(at('video-name'), name ?? videoId);
    const facts = [name === null ? '' : videoId, channel ?? ''].filter((text) => text !== '');
    setText(at('video-facts'), facts.join(' · '));
    setText(at('total'), formatInteger(total.count));
    setText(at('total-what'), `${eventType} events in total`);
    setText(at('sum'), formatInteger(total.sum));
    setText(at('average'), formatDecimal(total.average));
    const { label } = RANGES[state.range];
    setText(at('range-what'), label[0].toUpperCase() + label.slice(1));
    setText(at('range-count'), formatInteger(range.count));
    setText(at('chart-title'), `${eventType} per ${granularity}, ${label}`);
    this.#shown = { points, state };
    this.#chart.show(points, granularity);
    const most = points.reduce((best, point) => (point.count > best.count ? point : best), points[0]);
    const peak = most.count === 0 ? '' : `, most on ${windowText(most.ms, granularity)}: ${most.count}`;
    const summary = `${eventType} per ${granularity}, ${label}: ${range.count} events${peak}`;
    setLabel(at('window'), 'aria-label', summary);
    const nothing = at('chart').querySelector('.nothing');
    nothing.hidden = most.count > 0;
    setText(nothing, `No ${eventType} in the ${label}`);
    this.#showTable();
    return `${formatInteger(total.count)} · ${name ?? videoId} – tallyring`;
  }

  #onPick(index, place) {
    const tip = at('chart').querySelector('.tip');
    tip.hidden = index < 0;
    if (index < 0) return;
    const { ms, count, isOpen } = this.#shown.points[index];
    const when = windowText(ms, this.#shown.state.granularity);
    const amount = `${formatInteger(count)}${isOpen ? ' so far' : ''}`;
    const bold = document.createElement('b');
    bold.textContent = amount;
    const small = document.createElement('span');
    small.textContent = when;
    tip.replaceChildren(bold, small);
    const room = at('chart').clientWidth - tip.offsetWidth;
    const x = Math.max(0, Math.min(room, place.x - tip.offsetWidth / 2));
    const y = Math.max(0, place.y - tip.offsetHeight - 10);
    tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    setLabel(at('window'), 'aria-valuetext', `${when}: ${amount}`);
  }

  /** Newest first; made only while somebody looks. */
  #showTable() {
    if (!at('as-table').open) return;
    const rows = [...this.#shown.points].reverse().map(({ ms, count, isOpen }) => {
      const row = document.createElement('tr');
      const when = row.insertCell();
      when.textContent = windowText(ms, this.#shown.state.granularity);
      const amount = row.insertCell();
      amount.className = 'number';
      amount.textContent = `${formatInteger(count)}${isOpen ? ' so far' : ''}`;
      return row;
    });
    at('as-table')
      .querySelector('tbody')
      .replaceChildren(...rows);
  }
}
