const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d))?$/i;

/** What `timeOf` takes, for messages. */
export const TIME_FORMS = 'epoch milliseconds, or ISO 8601 with a zone (2026-01-31T12:00:00Z) or of a day';
const SHOWN_CHARACTERS = 40;

/** What to say of a value that `timeOf` does not take. */
export function noTime(value: unknown): string {
  const isLong = typeof value === 'string' && value.length > SHOWN_CHARACTERS;
  const shown = JSON.stringify(isLong ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value) ?? String(value);
  return `${shown.slice(0, 2 * SHOWN_CHARACTERS)} is no time; give ${TIME_FORMS}`;
}

/**
 * Epoch milliseconds of an ISO 8601 time or of integer milliseconds; `undefined` if neither. A day alone begins in UTC; a
 * time of day must say its zone, for whoever leaves it out may mean another one.
 */
export function timeOf(value: unknown): number | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && Math.abs(value) <= 8.64e15 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  if (/^-?\d{1,16}$/.test(value)) return timeOf(Number(value));
  const parts = ISO.exec(value);
  if (parts === null) return undefined;
  const [, year, month, day, clock = '00:00', zone = 'Z'] = parts;
  const date = `${year}-${month}-${day}`;
  // Date rolls 30 February over into March; that is no time.
  const midnight = Date.parse(`${date}T00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return undefined;
  const ms = Date.parse(`${date}T${clock}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : ms;
}
