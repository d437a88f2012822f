/** One table: what may go wrong, its gRPC status, and whether the same call may simply be made again. */
const TABLE = {
  /** The request is wrong in itself; nothing was applied. */
  INVALID_ARGUMENT: { grpc: 3, retryable: false },
  /** A sum would leave, or left, int64. */
  OUT_OF_RANGE: { grpc: 11, retryable: false },
  /** Fewer live replicas than the level requires; nothing was sent. */
  UNAVAILABLE: { grpc: 14, retryable: true },
  /** The level was not reached before the deadline; the write may have been applied. */
  WRITE_TIMEOUT: { grpc: 4, retryable: false },
  /** The level was not reached before the deadline. */
  READ_TIMEOUT: { grpc: 4, retryable: true },
  /** A bounded queue is full; nothing was applied. */
  OVERLOADED: { grpc: 8, retryable: true },
  /** The caller's ring is older than what this node confirmed: refresh and try again. */
  STALE_RING: { grpc: 9, retryable: true },
  /** Another cluster, another node's store, other rollups or N, not a replica … */
  FAILED_PRECONDITION: { grpc: 9, retryable: false },
  /** Data or a message of a format newer than this software. */
  UNSUPPORTED_FORMAT: { grpc: 9, retryable: false },
  /** The replica cannot answer for this (recovering, or the row is damaged); others may. */
  NOT_WHOLE: { grpc: 9, retryable: true },
  /** Another owner took the register over, or a replica that counted for this one lost its store: acquire again. */
  FENCED: { grpc: 10, retryable: false },
  /** The store met its first write error and stopped. */
  STORE_FAILED: { grpc: 14, retryable: true },
  /** Stored data is unreadable. */
  DATA_LOSS: { grpc: 15, retryable: false },
  /** SDK: the increment was taken and will still be counted; only the wait ended. Do not call again. */
  PENDING: { grpc: 4, retryable: false },
  /** The client or node was closed before the call. */
  CLOSED: { grpc: 9, retryable: false },
  /** A bug: please report it. */
  INTERNAL: { grpc: 13, retryable: false },
} as const;

export type ErrorCode = keyof typeof TABLE;

/** What is known about a failure, beyond its code and text. */
export interface ErrorFacts {
  cause?: unknown;
  /** Answers that the level requires, that came, and replicas that were live. */
  required?: number;
  received?: number;
  live?: number;
  /** False only when it is certain that nothing was applied. */
  mayHaveApplied?: boolean;
  /** Overrides the table's word on whether the same call may simply be made again. */
  retryable?: boolean;
}

export class TallyringError extends Error {
  override readonly name: string = 'TallyringError';
  readonly code: ErrorCode;
  readonly required?: number;
  readonly received?: number;
  readonly live?: number;
  readonly mayHaveApplied: boolean;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    if (facts.required !== undefined) this.required = facts.required;
    if (facts.received !== undefined) this.received = facts.received;
    if (facts.live !== undefined) this.live = facts.live;
    this.mayHaveApplied = facts.mayHaveApplied ?? (code === 'WRITE_TIMEOUT' || code === 'PENDING');
    this.retryable = facts.retryable ?? TABLE[code].retryable;
  }
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(TABLE, text);
}

/** The gRPC status of an error: one number for every language. */
export function grpcStatusOf(error: TallyringError): number {
  return TABLE[error.code].grpc;
}

/** Any thrown value as one of ours; what is unknown is INTERNAL. */
export function asTallyringError(error: unknown): TallyringError {
  if (error instanceof TallyringError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new TallyringError('INTERNAL', text, { cause: error });
}

/** An error as plain data, for wires. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  required?: number | undefined;
  received?: number | undefined;
  live?: number | undefined;
  mayHaveApplied: boolean;
  retryable: boolean;
}

export function errorToData(error: TallyringError): ErrorData {
  const { code, message, required, received, live, mayHaveApplied, retryable } = error;
  return { code, message, required, received, live, mayHaveApplied, retryable };
}

export function errorFromData(data: ErrorData): TallyringError {
  const { code, message, ...facts } = data;
  return new TallyringError(isErrorCode(code) ? code : 'INTERNAL', message, facts as ErrorFacts);
}
