import { Metadata, type ServerErrorResponse, type ServiceError } from '@grpc/grpc-js';
import {
  asTallyringError,
  type ErrorData,
  errorFromData,
  errorToData,
  grpcStatusOf,
  isErrorCode,
  TallyringError,
} from './errors.js';

/** Between TallyringErrors and gRPC's: status, text, and the whole of it as JSON in trailing metadata. */

export const ERROR_METADATA = 'tallyring-error';
/** HTTP/2 headers are small. */
const MAX_TEXT = 1_000;

const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

export function toGrpcError(thrown: unknown): ServerErrorResponse {
  const error = asTallyringError(thrown);
  const data = errorToData(error);
  const text = data.message.slice(0, MAX_TEXT);
  const metadata = new Metadata();
  // Metadata takes printable ASCII only; lone surrogates would make grpc-js throw.
  const json = JSON.stringify({ ...data, message: text }).replace(/[^\x20-\x7e]/g, escapeUnit);
  metadata.set(ERROR_METADATA, json);
  const details = text.isWellFormed() ? text : JSON.stringify(text);
  return Object.assign(new Error(details), { code: grpcStatusOf(error), details, metadata });
}

function carriedError(metadata: Metadata | undefined): TallyringError | undefined {
  const json = metadata?.get(ERROR_METADATA)[0];
  if (typeof json !== 'string') return undefined;
  try {
    const data = JSON.parse(json) as Partial<ErrorData>;
    if (!isErrorCode(data.code) || typeof data.message !== 'string') return undefined;
    return errorFromData(data as ErrorData);
  } catch {
    return undefined; // not ours: the status has to do
  }
}

const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;
const CODE_OF_STATUS: Record<number, TallyringError['code']> = {
  3: 'INVALID_ARGUMENT',
  8: 'OVERLOADED',
  9: 'FAILED_PRECONDITION',
  11: 'OUT_OF_RANGE',
  12: 'FAILED_PRECONDITION', // UNIMPLEMENTED: another program or an older version answers there
  15: 'DATA_LOSS',
};

/** The connection or the stream ended under the call: UNAVAILABLE, or what a server that is cut off leaves. */
function wasCut({ code, details }: ServiceError): boolean {
  return code === UNAVAILABLE || code === CANCELLED || /RST_STREAM|ECONNRESET/.test(details);
}

/** gRPC found no way to the server, so that it sent nothing. */
export function wasNeverSent(error: ServiceError): boolean {
  return /^(No connection established|Name resolution failed|Failed to connect)/.test(error.details);
}

/**
 * What a failed call means. The server's own word when it sent one; else what gRPC found: UNAVAILABLE when
 * refused or reset, a timeout when the deadline passed.
 *
 * @param writes whether the call changes something, so that an error may leave it applied.
 */
export function fromGrpcError(error: ServiceError, where: string, writes: boolean): TallyringError {
  const carried = carriedError(error.metadata);
  if (carried) return carried;
  const details = (error.details || error.message).replace(/\s*Resolution note:\s*$/, '');
  const mayHaveApplied = writes && !wasNeverSent(error);
  const facts = { cause: error, mayHaveApplied };
  if (error.code === DEADLINE_EXCEEDED) {
    const code = writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
    return new TallyringError(code, `${where} did not answer in time`, facts);
  }
  if (wasCut(error)) {
    const text = wasNeverSent(error) ? 'cannot be reached' : 'closed the connection before it answered';
    return new TallyringError('UNAVAILABLE', `${where} ${text} (${details})`, {
      ...facts,
      retryable: !mayHaveApplied,
    });
  }
  const code = CODE_OF_STATUS[error.code] ?? 'INTERNAL';
  return new TallyringError(code, `${where}: ${details}`, facts);
}
