import type { FastifyInstance } from 'fastify';
import { hash64 } from '../../ports/hash.js';

/** A file that is served from memory; revalidated by its hash. */
export interface StaticFile {
  path: string;
  contentType: string;
  body: Buffer;
  headers?: Readonly<Record<string, string>> | undefined;
}

export function addFiles(app: FastifyInstance, files: readonly StaticFile[]): void {
  for (const { path, contentType, body, headers = {} } of files) {
    const etag = `"${hash64(body).toString(16)}"`;
    app.get(path, async (request, reply) => {
      void reply.headers({ etag, 'cache-control': 'no-cache', ...headers });
      if (request.headers['if-none-match'] === etag) return reply.code(304).send();
      return reply.type(contentType).send(body);
    });
  }
}
