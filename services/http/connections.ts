import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { TallyringError } from '../../proto/errors.js';
import { errorAnswer, HttpError } from './errors.js';
import { jsonText } from './json.js';
import type { HttpLimits } from './limits.js';
import type { HttpMetrics } from './metrics.js';

const REASON: Record<number, string> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/**
 * What goes wrong below a request: too many connections, slow clients, bytes that are no HTTP. Whoever can
 * still be told is told.
 */
export class Connections {
  readonly #limits: HttpLimits;
  readonly #metrics: HttpMetrics;
  /** Opened beyond maxConnections: each gets one answer. */
  readonly #refused = new WeakSet<Socket>();
  /** An answer is under way or was given before all of its request was there: nothing else may be written. */
  readonly #answered = new WeakSet<Socket>();
  #open = 0;

  constructor(limits: HttpLimits, metrics: HttpMetrics) {
    this.#limits = limits;
    this.#metrics = metrics;
  }

  watch(server: Server): void {
    const { maxConnections, maxRefusedConnections } = this.#limits;
    server.maxConnections = maxConnections + maxRefusedConnections;
    server.on('drop', () => this.#metrics.cutOff.inc({ reason: 'too_many' }));
    server.on('connection', (socket: Socket) => {
      this.#open++;
      this.#metrics.connections.set(this.#open);
      if (this.#open > maxConnections) this.#refused.add(socket);
      socket.once('close', () => {
        this.#open--;
        this.#metrics.connections.set(this.#open);
      });
    });
  }

  addHooks(app: FastifyInstance): void {
    const { maxConnections, maxUrlBytes } = this.#limits;
    app.addHook('onRequest', async (request, reply) => {
      if (this.#refused.has(request.raw.socket)) {
        void reply.header('connection', 'close');
        throw new TallyringError(
          'OVERLOADED',
          `${maxConnections} connections are open already (maxConnections); try again later`,
        );
      }
      const urlBytes = request.raw.url?.length ?? 0;
      if (urlBytes > maxUrlBytes) {
        throw new HttpError(
          'URL_TOO_LONG',
          `the URL has ${urlBytes} bytes, more than ${maxUrlBytes} (maxUrlBytes)`,
        );
      }
    });
    app.addHook('onSend', async (request, reply) => {
      const { socket } = request.raw;
      this.#answered.add(socket);
      reply.raw.once('finish', () => {
        if (request.raw.complete) this.#answered.delete(socket);
      });
    });
  }

  /** Of a socket: a limit of time or size was passed, or what came is no HTTP. */
  onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    const reason = cutOffReason(error);
    this.#metrics.cutOff.inc({ reason });
    if (!socket.writable || this.#answered.has(socket) || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const { status, body } = errorAnswer(this.#refusal(reason, error));
    const text = jsonText(body);
    socket.end(
      `HTTP/1.1 ${status} ${REASON[status]}\r\nconnection: close\r\n` +
        `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      () => socket.destroy(),
    );
  };

  #refusal(reason: string, error: Error): Error {
    const { headersTimeoutMs, requestTimeoutMs, maxHeaderBytes } = this.#limits;
    if (reason === 'slow') {
      const limits = `${headersTimeoutMs} ms for the headers (headersTimeoutMs), ${requestTimeoutMs} ms for all`;
      return new HttpError(
        'REQUEST_TIMEOUT',
        `the request came too slowly: it has ${limits} (requestTimeoutMs)`,
      );
    }
    if (reason === 'headers') {
      return new HttpError(
        'HEADERS_TOO_LARGE',
        `the headers, URL included, have more than ${maxHeaderBytes} bytes (maxHeaderBytes)`,
      );
    }
    return new TallyringError('INVALID_ARGUMENT', `this is no HTTP/1.1 request: ${error.message}`);
  }
}

function cutOffReason(error: NodeJS.ErrnoException): 'slow' | 'headers' | 'gone' | 'malformed' {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'slow';
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers';
  return error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'gone' : 'malformed';
}
