import { asTallyringError, type ErrorCode, TallyringError } from '../../proto/errors.js';

/** One table: the HTTP status of what may go wrong (proto/errors.ts). */
const STATUS: Record<ErrorCode, number> = {
  INVALID_ARGUMENT: 400,
  OUT_OF_RANGE: 400,
  UNAVAILABLE: 503,
  WRITE_TIMEOUT: 504,
  READ_TIMEOUT: 504,
  OVERLOADED: 503,
  STALE_RING: 503,
  FAILED_PRECONDITION: 409,
  UNSUPPORTED_FORMAT: 500,
  NOT_WHOLE: 503,
  FENCED: 503,
  STORE_FAILED: 503,
  DATA_LOSS: 500,
  PENDING: 504,
  CLOSED: 503,
  INTERNAL: 500,
};

/** What is wrong with a request as HTTP, before it means anything to us. Nothing was applied. */
const HTTP_STATUS = {
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  BODY_TOO_LARGE: 413,
  URL_TOO_LONG: 414,
  UNSUPPORTED_MEDIA_TYPE: 415,
  HEADERS_TOO_LARGE: 431,
} as const;

export type HttpErrorCode = keyof typeof HTTP_STATUS;

export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly code: HttpErrorCode;
  /** Headers of the answer, e.g. `allow`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: HttpErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

/** The one body of all errors. */
export interface ErrorBody {
  error: {
    code: ErrorCode | HttpErrorCode;
    message: string;
    /** False only when it is certain that nothing was applied. */
    mayHaveApplied: boolean;
    /** Whether the same request may simply be sent again. */
    retryable: boolean;
    /** Answers of replicas that the level requires, that came, and replicas that were live. */
    required?: number;
    received?: number;
    live?: number;
  };
}

export interface ErrorAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: ErrorBody;
}

const RETRY_AFTER_S = 1;

/** Any thrown value as an answer. What nobody foresaw keeps its text for the log. */
export function errorAnswer(thrown: unknown): ErrorAnswer {
  if (thrown instanceof HttpError) {
    const { code, message, headers } = thrown;
    const error = { code, message, mayHaveApplied: false, retryable: code === 'REQUEST_TIMEOUT' };
    return { status: HTTP_STATUS[code], headers, body: { error } };
  }
  const error = asTallyringError(thrown);
  const status = STATUS[error.code];
  const headers: Record<string, string> = {};
  if (status === 503) headers['retry-after'] = String(RETRY_AFTER_S);
  return { status, headers, body: { error: errorJson(error, thrown) } };
}

/** An error inside an answer, e.g. of one among several videos. */
export function errorJson(error: TallyringError, thrown: unknown = error): ErrorBody['error'] {
  const { code, mayHaveApplied, retryable, required, received, live } = error;
  const isForeseen = thrown instanceof TallyringError;
  const message = isForeseen ? error.message : 'an unexpected failure; the log of the service says more';
  const known = Object.entries({ required, received, live }).filter(([, value]) => value !== undefined);
  return { code, message, mayHaveApplied, retryable, ...Object.fromEntries(known) };
}
