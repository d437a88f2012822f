import { RANGES, STEP_MS } from './state.js';

// What the page asks the query service.

const TIMEOUT_MS = 8_000;

/** What the service says is wrong, or that it says nothing. */
export class ServiceError extends Error {
  constructor(message, { status = 0, code = '' } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, parameters, signal) {
  let answer;
  let body;
  try {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const query = new URLSearchParams(parameters);
    answer = await fetch(`${path}?${query}`, { signal: AbortSignal.any([signal, timeout]) });
    body = await answer.json();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ServiceError('The query service does not answer.');
  }
  if (answer.ok) return body;
  throw new ServiceError(body.error.message, { status: answer.status, code: body.error.code });
}

export async function readVideo({ videoId, eventType, range, granularity }, signal) {
  // Whole windows, the one that goes on included: the service covers just what is asked.
  const step = STEP_MS[granularity];
  const startTime = String((Math.floor(Date.now() / step) + 1) * step - RANGES[range].ms);
  const [total, stats, report] = await Promise.all([
    ask('/getCount', { videoId, eventType }, signal),
    ask('/getStats', { videoId, eventType, granularity, startTime, function: 'count' }, signal),
    ask('/getReport', { videoId, eventType, hours: 1 }, signal),
  ]);
  const { name = null, channel = null } = report.videos[0];
  return { total: total.videos[0], covered: stats.covered, range: stats.videos[0], name, channel };
}

export const readHottest = ({ eventType }, signal) => ask('/getHottest', { eventType, limit: 10 }, signal);
