import { z } from 'zod';

const positive = z.number().int().positive();

/** What one HTTP server takes; each field's comment says what it bounds. */
export const httpLimitsSchema = z.strictObject({
  /** Body of one request; beyond it 413. */
  maxBodyBytes: positive.default(1024 * 1024),
  /** Bytes of all bodies that are being read or worked on; beyond it 503. */
  maxBodyBytesInFlight: positive.default(64 * 1024 * 1024),
  /** Path and query of one request; beyond it 414. */
  maxUrlBytes: positive.default(8 * 1024),
  /** All headers of one request, its URL included; beyond it 431. */
  maxHeaderBytes: positive.default(16 * 1024),
  /** From a request's first byte to the end of its headers, and to the end of its body; beyond it 408. */
  headersTimeoutMs: positive.default(10_000),
  requestTimeoutMs: positive.default(15_000),
  /** From the end of a request to its answer; beyond it 504. */
  answerTimeoutMs: positive.default(15_000),
  /** A connection over which nothing moves: between two requests, and while an answer is not read. */
  keepAliveTimeoutMs: positive.default(5_000),
  stalledTimeoutMs: positive.default(30_000),
  /** Connections that are served, and those that are told so beyond it; any further one is cut off. */
  maxConnections: positive.default(1_000),
  maxRefusedConnections: positive.default(64),
  /** How long closing waits for what is in flight. */
  closeTimeoutMs: positive.default(5_000),
});

export type HttpLimits = z.output<typeof httpLimitsSchema>;
