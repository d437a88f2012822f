import type { FastifyInstance } from 'fastify';
import { TallyringError } from '../../proto/errors.js';
import type { HttpLimits } from './limits.js';

/**
 * Bounds the bytes of all bodies that are being read or worked on: by what their headers announce, before any of it is
 * read. A body without a length may have as many as one may.
 */
export function boundBodies(app: FastifyInstance, limits: HttpLimits): void {
  const { maxBodyBytes, maxBodyBytesInFlight } = limits;
  let inFlight = 0;
  app.addHook('onRequest', async ({ headers }, reply) => {
    const isChunked = headers['transfer-encoding'] !== undefined;
    const bytes = isChunked ? maxBodyBytes : Math.min(maxBodyBytes, Number(headers['content-length'] ?? 0));
    if (!(bytes > 0)) return;
    if (inFlight > 0 && inFlight + bytes > maxBodyBytesInFlight) {
      void reply.header('connection', 'close');
      throw new TallyringError(
        'OVERLOADED',
        `bodies of ${inFlight} bytes are being worked on already (maxBodyBytesInFlight ${maxBodyBytesInFlight}); nothing of ` +
          'this one was taken, send it again a little later',
        { mayHaveApplied: false },
      );
    }
    inFlight += bytes;
    reply.raw.once('close', () => {
      inFlight -= bytes;
    });
  });
}
