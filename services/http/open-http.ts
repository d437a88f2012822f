import fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Registry } from 'prom-client';
import type { Logger } from '../../ports/logger.js';
import { TallyringError } from '../../proto/errors.js';
import { addRoutes, sendJson } from './answering.js';
import { boundBodies } from './body-budget.js';
import { Connections } from './connections.js';
import { errorAnswer, HttpError } from './errors.js';
import { addFiles, type StaticFile } from './files.js';
import { parseJson } from './json.js';
import type { HttpLimits } from './limits.js';
import { httpMetrics } from './metrics.js';
import type { Route } from './routes.js';

/** What the HTTP services share: limits, errors, health, metrics, and how they end. */

export interface HttpOptions {
  /** Of the service, in answers and logs. */
  name: string;
  limits: HttpLimits;
  logger: Logger;
  registry: Registry;
  /** 503 while not serving; whatever else it says is shown. */
  health(): { serving: boolean };
  routes: readonly Route[];
  files?: readonly StaticFile[] | undefined;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Takes nothing new, ends what is in flight within closeTimeoutMs, and cuts off the rest. */
  close(): Promise<void>;
}

/** Rejects FAILED_PRECONDITION when it cannot listen there. Port 0: any that is free. */
export async function openHttp(
  options: HttpOptions,
  address: { host: string; port: number },
): Promise<HttpServer> {
  const app = createHttp(options);
  const { host, port } = address;
  try {
    await app.listen({ host, port });
  } catch (cause) {
    await app.close();
    throw listenFailure(options.name, address, cause as NodeJS.ErrnoException);
  }
  const bound = app.server.address() as { port: number };
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closeWithin(app, options.limits.closeTimeoutMs);
    return closing;
  };
  return { host, port: bound.port, close };
}

function listenFailure(
  name: string,
  { host, port }: { host: string; port: number },
  cause: NodeJS.ErrnoException,
): TallyringError {
  const inUse = cause.code === 'EADDRINUSE';
  const reason = inUse ? 'it is in use; stop what listens there, or name another port' : cause.message;
  const message = `the ${name} service cannot listen on ${host}:${port}: ${reason}`;
  return new TallyringError('FAILED_PRECONDITION', message, { cause });
}

async function closeWithin(app: FastifyInstance, timeoutMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), timeoutMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}

/** The server without a socket, for `inject` in tests. */
export function createHttp(options: HttpOptions): FastifyInstance {
  const { limits, logger, registry, routes, files = [] } = options;
  const metrics = httpMetrics(registry);
  const connections = new Connections(limits, metrics);
  const app = fastify({
    bodyLimit: limits.maxBodyBytes,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionTimeout: limits.stalledTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    return503OnClosing: false, // in its own words below
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
      requestTimeout: limits.requestTimeoutMs,
      // Node looks for slow requests this often.
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    },
    clientErrorHandler: connections.onClientError as (error: Error, socket: unknown) => void,
    // Parameters are parsed by queryOf, which can say what is wrong with them.
    routerOptions: { querystringParser: () => ({}) },
    frameworkErrors: (error, _, reply) => {
      const { status, body } = errorAnswer(new TallyringError('INVALID_ARGUMENT', error.message));
      void sendJson((reply as FastifyReply).code(status), body);
    },
  });
  connections.watch(app.server);
  connections.addHooks(app);
  boundBodies(app, limits);
  refuseWhileClosing(app, options.name);
  takeJsonOnly(app);
  app.addHook('onSend', async (_, reply) => void reply.header('x-content-type-options', 'nosniff'));
  app.addHook('onResponse', async (request, reply) => {
    const labels = { route: request.routeOptions.url ?? 'unknown', status: reply.statusCode };
    metrics.requests.inc(labels);
    metrics.requestSeconds.observe(labels, reply.elapsedTime / 1_000);
  });
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const { status, headers, body } = errorAnswer(translated(error, request, limits));
    if (status >= 500) logger.warn({ error, url: request.url, status }, 'a request failed');
    // What is left of a body that is refused is read and dropped, so that the caller can read why.
    if (status === 413) void reply.removeHeader('connection');
    return sendJson(reply.code(status).headers(headers), body);
  });
  addOwnRoutes(app, options);
  addFiles(app, files);
  addRoutes(app, routes, limits.answerTimeoutMs);
  // Its OpenAPI document, and not all the parts of a page.
  const documents = files.filter(({ contentType }) => contentType.startsWith('application/json'));
  const gets = ['/health', '/metrics', ...documents.map(({ path }) => path)];
  addNotFound(app, [...gets.map((path) => ({ method: 'GET', path })), ...routes]);
  return app;
}

function refuseWhileClosing(app: FastifyInstance, name: string): void {
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
  });
  app.addHook('onRequest', async () => {
    if (isClosing) throw new TallyringError('UNAVAILABLE', `the ${name} service is closing; try again`);
  });
}

function takeJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      const encoding = request.headers['content-encoding'] ?? 'identity';
      if (encoding !== 'identity') throw unsupported(`content-encoding ${encoding}; send it as it is`);
      const charset = /charset="?([^";\s]+)/i.exec(request.headers['content-type'] ?? '')?.[1] ?? 'utf-8';
      if (!/^utf-?8$/i.test(charset)) throw unsupported(`charset ${charset}; send UTF-8`);
      done(null, parseJson(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
}

function unsupported(what: string): HttpError {
  return new HttpError('UNSUPPORTED_MEDIA_TYPE', `this service takes no ${what}`);
}

/** Fastify's own errors in our words. */
function translated(error: FastifyError, request: FastifyRequest, limits: HttpLimits): unknown {
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const type = request.headers['content-type'];
    return unsupported(
      `${type ?? 'body without a content-type'}; send application/json with the header content-type`,
    );
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = `${limits.maxBodyBytes} bytes (maxBodyBytes)`;
    return new HttpError('BODY_TOO_LARGE', `the body has more than ${limit}; send it in parts`);
  }
  if (error.code?.startsWith('FST_') && (error.statusCode ?? 500) < 500) {
    return new TallyringError('INVALID_ARGUMENT', error.message, { cause: error });
  }
  return error;
}

function addOwnRoutes(app: FastifyInstance, { health, registry }: HttpOptions): void {
  app.get('/health', async (_, reply) => {
    const now = health();
    return sendJson(reply.code(now.serving ? 200 : 503).header('cache-control', 'no-store'), now);
  });
  app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}

function addNotFound(app: FastifyInstance, routes: readonly { method: string; path: string }[]): void {
  const list = routes.map(({ method, path }) => `${method} ${path}`).join(', ');
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0]!;
    const methods = routes.filter((route) => route.path === path).map(({ method }) => method);
    if (methods.length === 0) {
      const shown = JSON.stringify(path.length > 80 ? `${path.slice(0, 80)}…` : path);
      throw new HttpError('NOT_FOUND', `there is nothing at ${shown}; there is ${list}`);
    }
    const allow = methods.join(', ');
    throw new HttpError('METHOD_NOT_ALLOWED', `${path} takes ${allow}, not ${request.method}`, { allow });
  });
}
