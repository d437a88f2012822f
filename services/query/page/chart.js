import { clockText, dayText, formatShort } from './format.js';

// Bars of one series in SVG; an area where there are more windows than bars can be told apart.

const SVG = 'http://www.w3.org/2000/svg';
const MARGIN = { top: 12, right: 4, bottom: 26, left: 44 };
const LEAST_BAR_WIDTH = 3.2;
const LABEL_WIDTH = 58;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function element(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A round whole number, some five of which reach `max`. */
export function niceStep(max) {
  const rough = Math.max(max, 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const steps = [1, 2, 2.5, 5, 10].map((factor) => factor * power);
  return Math.max(1, steps.find((step) => step >= rough && Number.isInteger(step)) ?? 1);
}

export class Chart {
  #svg;
  #slider;
  #onPick;
  #size = { width: 0, height: 0 };
  #data = { points: [], granularity: 'hour' };
  #picked = -1;
  #bars = [];
  #layers = {};
  #shape = '';

  /** `onPick(index, box)`: the window that is pointed at, and where; −1 for none. */
  constructor(holder, onPick) {
    this.#svg = holder.querySelector('svg');
    this.#onPick = onPick;
    for (const name of ['grid', 'marks', 'labels', 'cursor']) {
      this.#layers[name] = this.#svg.appendChild(element('g'));
    }
    new ResizeObserver(() => {
      this.#size = { width: holder.clientWidth, height: holder.clientHeight };
      this.#draw();
    }).observe(holder);
    holder.addEventListener('pointermove', (event) => this.#pickAt(event.clientX));
    holder.addEventListener('pointerdown', (event) => this.#pickAt(event.clientX));
    holder.addEventListener('pointerleave', () => this.pick(-1));
    // What a keyboard moves; a screen reader tells where it is.
    this.#slider = holder.querySelector('input');
    this.#slider.addEventListener('input', () => this.pick(this.#slider.valueAsNumber));
    this.#slider.addEventListener('focus', () => this.pick(this.#slider.valueAsNumber));
    this.#slider.addEventListener('blur', () => this.pick(-1));
  }

  /** Points in order: {ms, count, isOpen}, isOpen for the window that still goes on. */
  show(points, granularity) {
    this.#data = { points, granularity };
    if (this.#picked >= points.length) this.#picked = -1;
    if (Number(this.#slider.max) !== points.length - 1) {
      this.#slider.max = points.length - 1;
      this.#slider.value = points.length - 1;
    }
    this.#draw();
  }

  pick(index) {
    this.#picked = index;
    if (index >= 0) this.#slider.value = index;
    this.#drawCursor();
    this.#onPick(index, index < 0 ? undefined : this.#place(index));
  }

  #place(index) {
    const { left, top, step, plotHeight, max } = this.#geometry();
    const y = top + plotHeight * (1 - this.#data.points[index].count / max);
    return { x: left + step * (index + 0.5), y };
  }

  #geometry() {
    const { width, height } = this.#size;
    const { points } = this.#data;
    const greatest = points.reduce((most, { count }) => Math.max(most, count), 0);
    const tick = niceStep(greatest);
    const max = Math.max(tick, Math.ceil(greatest / tick) * tick);
    const plotWidth = Math.max(1, width - MARGIN.left - MARGIN.right);
    const plotHeight = Math.max(1, height - MARGIN.top - MARGIN.bottom);
    const step = plotWidth / Math.max(1, points.length);
    return { ...MARGIN, width, height, plotWidth, plotHeight, step, tick, max };
  }

  #draw() {
    if (this.#size.width === 0) return;
    const geometry = this.#geometry();
    this.#svg.setAttribute('viewBox', `0 0 ${geometry.width} ${geometry.height}`);
    this.#drawGrid(geometry);
    this.#drawLabels(geometry);
    const barWidth = geometry.step * 0.78;
    if (barWidth >= LEAST_BAR_WIDTH) this.#drawBars(geometry, barWidth);
    else this.#drawArea(geometry);
    this.#drawCursor();
    if (this.#picked >= 0) this.#onPick(this.#picked, this.#place(this.#picked));
  }

  #drawGrid({ left, top, width, right, plotHeight, tick, max }) {
    const parts = [];
    for (let value = 0; value <= max + tick / 2; value += tick) {
      const y = Math.round(top + plotHeight * (1 - value / max)) + 0.5;
      const line = { x1: left, x2: width - right, y1: y, y2: y, class: value === 0 ? 'base' : 'grid' };
      const text = { x: left - 8, y: y + 4, 'text-anchor': 'end' };
      parts.push(element('line', line), element('text', text, formatShort(value)));
    }
    this.#layers.grid.replaceChildren(...parts);
  }

  #drawLabels({ left, height, step, width, right }) {
    const { points, granularity } = this.#data;
    const every = Math.ceil(LABEL_WIDTH / step);
    const parts = [];
    let free = 0;
    for (const [i, { ms }] of points.entries()) {
      if (!isLabelled(ms, granularity, every)) continue;
      const x = left + step * (i + 0.5);
      if (x < free || x < left + 14 || x > width - right - 16) continue;
      free = x + LABEL_WIDTH * 0.9;
      const isDay = granularity === 'day' || ms % DAY_MS === 0;
      const text = isDay ? dayText(ms) : clockText(ms);
      parts.push(element('text', { x, y: height - 8, 'text-anchor': 'middle' }, text));
    }
    this.#layers.labels.replaceChildren(...parts);
  }

  /** The same bars as before where there are as many: they move, and nothing flickers. */
  #drawBars({ left, top, step, plotHeight, max }, barWidth) {
    const { points } = this.#data;
    if (this.#shape !== `bars ${points.length}`) {
      this.#bars = points.map(() => element('rect', { class: 'bar' }));
      this.#layers.marks.replaceChildren(...this.#bars);
      this.#shape = `bars ${points.length}`;
    }
    for (const [i, { count, isOpen }] of points.entries()) {
      const height = count === 0 ? 0 : Math.max(2, (plotHeight * count) / max);
      const bar = this.#bars[i];
      bar.setAttribute('x', (left + step * i + (step - barWidth) / 2).toFixed(2));
      bar.setAttribute('y', (top + plotHeight - height).toFixed(2));
      bar.setAttribute('width', barWidth.toFixed(2));
      bar.setAttribute('height', height.toFixed(2));
      bar.setAttribute('rx', Math.min(3, barWidth / 3, height / 2).toFixed(2));
      bar.classList.toggle('open', isOpen);
    }
  }

  #drawArea({ left, top, step, plotHeight, max }) {
    const bottom = top + plotHeight;
    const places = this.#data.points.map(({ count }, i) => {
      const y = bottom - (plotHeight * count) / max;
      return `${(left + step * (i + 0.5)).toFixed(1)} ${y.toFixed(1)}`;
    });
    const line = `M${places.join('L')}`;
    const end = left + step * (places.length - 0.5);
    const area = `${line}L${end.toFixed(1)} ${bottom}L${(left + step / 2).toFixed(1)} ${bottom}Z`;
    if (this.#shape !== 'area') {
      this.#layers.marks.replaceChildren(
        element('path', { class: 'area' }),
        element('path', { class: 'stroke' }),
      );
      this.#shape = 'area';
    }
    const [under, over] = this.#layers.marks.children;
    under.setAttribute('d', area);
    over.setAttribute('d', line);
  }

  #drawCursor() {
    const index = this.#picked;
    const isArea = this.#shape === 'area';
    for (const [i, bar] of isArea ? [] : this.#bars.entries()) {
      bar.classList.toggle('dim', index >= 0 && i !== index);
    }
    if (index < 0 || !isArea) {
      this.#layers.cursor.replaceChildren();
      return;
    }
    const { x, y } = this.#place(index);
    const { top, plotHeight } = this.#geometry();
    this.#layers.cursor.replaceChildren(
      element('line', { class: 'cursor', x1: x, x2: x, y1: top, y2: top + plotHeight }),
      element('circle', { class: 'dot', cx: x, cy: y, r: 4.5 }),
    );
  }

  #pickAt(clientX) {
    const { left, step } = this.#geometry();
    const index = Math.floor((clientX - this.#svg.getBoundingClientRect().left - left) / step);
    const last = this.#data.points.length - 1;
    if (last >= 0) this.pick(Math.min(last, Math.max(0, index)));
  }
}

/** Round hours and days, so that labels stay where they are while time goes on. */
function isLabelled(ms, granularity, every) {
  if (granularity === 'day') return every <= 1 || Math.round(ms / DAY_MS) % every === 0;
  const hours = [1, 2, 3, 6, 12, 24, 48, 72, 96, 120, 168, 240].find((each) => each >= every) ?? every;
  return Math.round(ms / HOUR_MS) % hours === 0;
}
