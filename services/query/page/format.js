// Numbers and times as people read them. Integers beyond 2^53 come as text and stay exact.

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });
const decimal = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

export const formatInteger = (value) => whole.format(typeof value === 'string' ? BigInt(value) : value);
export const formatShort = (value) => short.format(value);
export const formatDecimal = (value) => (value === null ? '–' : decimal.format(value));

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

export function dayText(ms) {
  const date = new Date(ms);
  return `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}`;
}

export const clockText = (ms) => new Date(ms).toISOString().slice(11, 16);

/** One window, in full. */
export function windowText(ms, granularity) {
  const date = new Date(ms);
  const weekday = date.toLocaleDateString('en', { weekday: 'short', timeZone: 'UTC' });
  const day = `${weekday}, ${dayText(ms)} ${date.getUTCFullYear()}`;
  return granularity === 'day' ? day : `${day}, ${clockText(ms)}–${clockText(ms + 3_600_000)}`;
}

/** Local time of a moment at which something was read. */
export const momentText = (ms) => new Date(ms).toLocaleTimeString('en-GB');
