// What is shown is in the URL's hash, so that it can be kept, shared and gone back to.

export const STEP_MS = { hour: 3_600_000, day: 86_400_000 };

export const RANGES = {
  '24h': { label: 'last 24 h', ms: 86_400_000, granularity: 'hour' },
  '7d': { label: 'last 7 days', ms: 7 * 86_400_000, granularity: 'hour' },
  '30d': { label: 'last 30 days', ms: 30 * 86_400_000, granularity: 'day' },
  // Days enough for a series that the service still gives (maxPoints).
  all: { label: 'all time', ms: 9_000 * 86_400_000, granularity: 'day' },
};

export function stateFromHash(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ''));
  const range = Object.hasOwn(RANGES, fields.get('range') ?? '') ? fields.get('range') : '24h';
  const asked = fields.get('by');
  return {
    videoId: fields.get('videoId') ?? '',
    eventType: fields.get('eventType') || 'view',
    range,
    granularity: granularityFor(range, asked),
  };
}

export const granularityFor = (range, asked) => {
  if (range === 'all') return 'day'; // hours of many years are more than fit
  return asked === 'hour' || asked === 'day' ? asked : RANGES[range].granularity;
};

export function hashOf({ videoId, eventType, range, granularity }) {
  return `#${new URLSearchParams({ videoId, eventType, range, by: granularity })}`;
}
