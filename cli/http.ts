import { TallyringError } from '../proto/errors.js';
import type { HttpAnswer, HttpRequest } from './environment.js';

/** Codes with which a connection fails before anything is sent. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export async function httpRequest({ url, body, timeoutMs }: HttpRequest): Promise<HttpAnswer> {
  const isPost = body !== undefined;
  try {
    const answer = await fetch(url, {
      method: isPost ? 'POST' : 'GET',
      ...(isPost && { body, headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.text();
    return { status: answer.status, body: jsonOf(text) };
  } catch (thrown) {
    throw asFailure(thrown as Error, url, isPost);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asFailure(thrown: Error, url: string, isPost: boolean): TallyringError {
  const { origin } = new URL(url);
  if (thrown.name === 'TimeoutError') {
    const code = isPost ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
    return new TallyringError(code, `${origin} did not answer in time`, {
      cause: thrown,
      mayHaveApplied: isPost,
    });
  }
  const cause = thrown.cause as { code?: string; message?: string } | undefined;
  const code = cause?.code ?? '';
  return new TallyringError(
    'UNAVAILABLE',
    `${origin} cannot be reached (${code || cause?.message || thrown.message})`,
    {
      cause: thrown,
      mayHaveApplied: isPost && !NEVER_SENT.has(code),
    },
  );
}
