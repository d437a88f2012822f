import { connect, type Socket } from 'node:net';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { silentLogger } from '../../../ports/logger.js';
import { TallyringError } from '../../../proto/errors.js';
import { type HttpLimits, httpLimitsSchema } from '../../../services/http/limits.js';
import type { HttpOptions } from '../../../services/http/open-http.js';
import { type Route, route } from '../../../services/http/routes.js';

const answers = { 200: { description: 'It is done' } };

export const echo = route(
  {
    method: 'POST',
    path: '/echo',
    summary: 'Gives back',
    body: z.strictObject({ text: z.string(), list: z.array(z.strictObject({ n: z.int() })).optional() }),
    answers,
  },
  ({ body }) => ({ body }),
);

export const shout = route(
  {
    method: 'GET',
    path: '/shout',
    summary: 'Louder',
    query: z.strictObject({ text: z.string().describe('What to shout') }),
    examples: { query: { text: 'hey' } },
    answers: { ...answers, 400: { description: 'Wrong' } },
  },
  ({ query }) => ({ body: { text: query.text.toUpperCase(), beyond: 2n ** 60n, within: 7n } }),
);

/** A route whose answer the test gives, or never. */
export function slowRoute(): { slow: Route; started: Promise<AbortSignal>; finish(): void } {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let onStarted: (signal: AbortSignal) => void;
  const started = new Promise<AbortSignal>((resolve) => {
    onStarted = resolve;
  });
  const slow = route(
    { method: 'GET', path: '/slow', summary: 'In its own time', answers },
    async ({ signal }) => {
      onStarted(signal);
      await finished;
      return { body: { done: true } };
    },
  );
  return { slow, started, finish: () => finish() };
}

export function failing(error: unknown): Route {
  return route({ method: 'GET', path: '/fail', summary: 'Fails', answers }, () => {
    throw error;
  });
}

export function httpOptions(
  routes: readonly Route[],
  limits: Partial<HttpLimits> = {},
  registry: Registry = new Registry(),
): HttpOptions {
  return {
    name: 'test',
    limits: httpLimitsSchema.parse(limits),
    logger: silentLogger,
    registry,
    health: () => ({ serving: true }),
    routes,
  };
}

export const unavailable = new TallyringError('UNAVAILABLE', 'one of three is there', {
  required: 2,
  received: 0,
  live: 1,
});

/** A connection on which the test writes bytes, and all that comes back until the server ends it. */
export async function rawConnection(port: number): Promise<{ socket: Socket; ended: Promise<string> }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  const ended = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(text));
  });
  socket.on('error', () => {}); // `ended` tells what came before
  await new Promise<void>((resolve) => void socket.once('connect', resolve));
  return { socket, ended };
}
