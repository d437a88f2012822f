import { createServer, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { listenFailure } from './listen.js';

export interface MetricsHttpOptions {
  host: string;
  port: number;
  registry: Registry;
  health(): { serving: boolean };
}

export interface MetricsHttp {
  close(): Promise<void>;
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

/**
 * GET /metrics for Prometheus, GET /health as JSON (status 503 while not serving). Rejects
 * FAILED_PRECONDITION when it cannot listen there.
 */
export async function serveMetrics(options: MetricsHttpOptions): Promise<MetricsHttp> {
  const { host, port, registry, health } = options;
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, 'text/plain', 'only GET\n');
    } else if (path === '/health') {
      const now = health();
      answer(response, now.serving ? 200 : 503, 'application/json', `${JSON.stringify(now)}\n`);
    } else if (path === '/metrics') {
      registry.metrics().then(
        (text) => answer(response, 200, registry.contentType, text),
        (error: Error) => answer(response, 500, 'text/plain', `${error.message}\n`),
      );
    } else answer(response, 404, 'text/plain', 'there is /metrics and /health\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenFailure(host, port, error)));
    server.listen(port, host, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
