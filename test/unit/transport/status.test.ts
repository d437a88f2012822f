import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { errorToData, TallyringError } from '../../../proto/errors.js';
import { ERROR_METADATA, fromGrpcError, toGrpcError } from '../../../proto/status.js';
import { ALL_CODES, GRPC_STATUS } from './fakes.js';

function serviceError(code: number, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

describe('errors as gRPC errors', () => {
  it.each(ALL_CODES)('%s keeps its status, text and facts', (code) => {
    const error = new TallyringError(code, 'töo late 😀 \ud800\n', {
      required: 2,
      received: 1,
      live: 0,
      mayHaveApplied: true,
    });
    const sent = toGrpcError(error);
    expect(sent.code).toBe(GRPC_STATUS[code]);
    expect(sent.metadata?.get(ERROR_METADATA)[0]).toMatch(/^[\x20-\x7e]+$/);
    const back = fromGrpcError(sent as ServiceError, 'n1', true);
    expect(errorToData(back)).toEqual(errorToData(error));
  });

  it('makes INTERNAL of what is no TallyringError', () => {
    expect(toGrpcError(new TypeError('x is undefined'))).toMatchObject({
      code: 13,
      details: 'x is undefined',
    });
  });

  it('cuts a text that would not fit into headers', () => {
    const { metadata } = toGrpcError(new TallyringError('DATA_LOSS', 'é'.repeat(100_000)));
    expect(String(metadata?.get(ERROR_METADATA)[0]).length).toBeLessThan(8_000);
  });

  it('does not trust metadata that is not an error', () => {
    for (const json of ['{', '7', 'null', '{"code":"MELTED","message":"x"}', '{"code":"DATA_LOSS"}']) {
      const error = serviceError(3, 'bad');
      error.metadata.set(ERROR_METADATA, json);
      expect(fromGrpcError(error, 'n1', true)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: 'n1: bad',
      });
    }
  });

  const table: [number, string, boolean, object][] = [
    [14, 'No connection established', true, { code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true }],
    [14, 'read ECONNRESET', true, { code: 'UNAVAILABLE', mayHaveApplied: true, retryable: false }],
    [14, 'read ECONNRESET', false, { code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true }],
    [4, 'Deadline exceeded', true, { code: 'WRITE_TIMEOUT', mayHaveApplied: true, retryable: false }],
    [4, 'Deadline exceeded', false, { code: 'READ_TIMEOUT', mayHaveApplied: false, retryable: true }],
    [8, 'Received message larger', false, { code: 'OVERLOADED' }],
    [12, 'no such method', false, { code: 'FAILED_PRECONDITION' }],
    [13, 'oops', true, { code: 'INTERNAL', mayHaveApplied: true }],
    [2, 'oops', false, { code: 'INTERNAL' }],
  ];
  it.each(table)('reads status %i "%s" of a call (writes: %s)', (code, details, writes, expected) => {
    expect(fromGrpcError(serviceError(code, details), 'n1', writes)).toMatchObject(expected);
  });
});
