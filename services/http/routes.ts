import type { z } from 'zod';

/** What a route takes and gives: the server checks by it, and the OpenAPI document is made of it. */
export interface RouteShape<Q = unknown, B = unknown, H = unknown> {
  method: 'GET' | 'POST';
  path: string;
  /** One line, and what else there is to know. */
  summary: string;
  description?: string | undefined;
  /** Query parameters, a strict object: each is text, and one that may be repeated is an array of texts. */
  query?: z.ZodType<Q> | undefined;
  /** Request headers by their names in lower case; others are left alone. */
  headers?: z.ZodType<H> | undefined;
  body?: z.ZodType<B> | undefined;
  /** Values of query parameters, and a body, that work as they stand. */
  examples?: { query?: Record<string, string | string[]>; body?: unknown } | undefined;
  /** Other content types than JSON that the answer may have. */
  alsoAnswers?: readonly string[] | undefined;
  answers: Readonly<Record<number, RouteAnswerShape>>;
}

export interface RouteAnswerShape {
  description: string;
  schema?: z.ZodType | undefined;
  example?: unknown;
}

export interface RouteRequest<Q, B, H> {
  query: Q;
  body: B;
  headers: H;
  /** Aborted when the caller has gone, or the answer is too late. */
  signal: AbortSignal;
}

export interface RouteAnswer {
  /** 200 when absent. */
  status?: number | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
  /** JSON unless `contentType` names another: then it is text or bytes, and sent as it is. */
  body: unknown;
  contentType?: string | undefined;
}

export interface Route extends RouteShape {
  handle(request: RouteRequest<unknown, unknown, unknown>): Promise<RouteAnswer> | RouteAnswer;
}

/** A route whose handler knows the types that its schemas give. */
export function route<Q = undefined, B = undefined, H = undefined>(
  shape: RouteShape<Q, B, H>,
  handle: (request: RouteRequest<Q, B, H>) => Promise<RouteAnswer> | RouteAnswer,
): Route {
  // The server calls it with what the schemas of the same shape gave.
  return { ...shape, handle: handle as Route['handle'] };
}
