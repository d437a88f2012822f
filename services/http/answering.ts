import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { TallyringError } from '../../proto/errors.js';
import { check, queryOf } from './check.js';
import { jsonText } from './json.js';
import type { Route, RouteAnswer } from './routes.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Serves routes: each request is checked by the route's schemas first, and answered within a bound. */
export function addRoutes(app: FastifyInstance, routes: readonly Route[], answerTimeoutMs: number): void {
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async (request, reply) => {
        const answer = await answerInTime(route, { request, reply, answerTimeoutMs });
        return sendAnswer(reply, answer);
      },
    });
  }
}

interface Call {
  request: FastifyRequest;
  reply: FastifyReply;
  answerTimeoutMs: number;
}

async function answerInTime(route: Route, { request, reply, answerTimeoutMs }: Call): Promise<RouteAnswer> {
  const query = queryOf(request.raw.url ?? '');
  const asked = {
    query: route.query === undefined ? noQuery(query, route) : check(route.query, query, 'query'),
    headers: route.headers === undefined ? undefined : check(route.headers, request.headers, 'headers'),
    body: route.body === undefined ? undefined : check(route.body, request.body, 'body'),
  };
  const abort = new AbortController();
  const onGone = () => abort.abort(new Error('the caller has gone'));
  reply.raw.once('close', onGone);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = lateError(route, answerTimeoutMs);
      reject(error);
      abort.abort(error);
    }, answerTimeoutMs);
  });
  try {
    return await Promise.race([Promise.resolve(route.handle({ ...asked, signal: abort.signal })), tooLate]);
  } finally {
    clearTimeout(timer);
    reply.raw.off('close', onGone);
  }
}

function noQuery(query: Record<string, unknown>, route: Route): undefined {
  const [name] = Object.keys(query);
  if (name === undefined) return undefined;
  const text = `unknown query parameter ${JSON.stringify(name)}; ${route.path} takes none`;
  throw new TallyringError('INVALID_ARGUMENT', text);
}

function lateError(route: Route, answerTimeoutMs: number): TallyringError {
  const code = route.method === 'GET' ? 'READ_TIMEOUT' : 'WRITE_TIMEOUT';
  return new TallyringError(code, `no answer within ${answerTimeoutMs} ms (answerTimeoutMs)`);
}

function sendAnswer(reply: FastifyReply, answer: RouteAnswer): FastifyReply {
  const { status = 200, headers = {}, contentType, body } = answer;
  void reply.code(status).headers({ 'cache-control': 'no-store', ...headers });
  if (contentType === undefined) return sendJson(reply, body);
  return reply.type(contentType).send(body);
}

export function sendJson(reply: FastifyReply, body: unknown): FastifyReply {
  return reply.type(JSON_TYPE).send(jsonText(body));
}
