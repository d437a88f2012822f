import type { Client, ServiceError } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { Clock } from '../../ports/clock.js';
import type { CallOptions } from '../../proto/calls.js';
import { TallyringError } from '../../proto/errors.js';
import { Malformed, type Method } from '../../proto/load.js';
import { fromGrpcError } from '../../proto/status.js';

const NO_METADATA = new Metadata();

/** What an aborted call rejects with: the signal's reason, as the platform's own calls do. */
export function abortReason(signal: AbortSignal): unknown {
  return signal.reason;
}

export interface UnaryCaller {
  client: Client;
  address: string;
  clock: Clock;
  isClosed(): boolean;
}

export function closedError(address: string, mayHaveApplied = false): TallyringError {
  return new TallyringError('CLOSED', `the connection to ${address} was closed`, { mayHaveApplied });
}

/** Refuses a reply that has not one outcome for each request. */
export function checkCount(outcomes: number, asked: number): void {
  if (outcomes === asked) return;
  throw new TallyringError('INTERNAL', `${outcomes} outcomes for ${asked} requests; please report this`);
}

/**
 * One unary call.
 *
 * @param writes whether the call changes something (see fromGrpcError).
 */
export function callUnary<Request, Reply>(
  caller: UnaryCaller,
  method: Method<Request, Reply>,
  request: Request,
  { timeoutMs, signal, writes }: CallOptions & { writes: boolean },
): Promise<Reply> {
  const { client, address, clock } = caller;
  if (caller.isClosed()) return Promise.reject(closedError(address));
  if (signal?.aborted) return Promise.reject(abortReason(signal));
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method;
    const options = { deadline: clock.wallMs() + timeoutMs };
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      NO_METADATA,
      options,
      (error: ServiceError | null, reply?: Reply | Malformed) => {
        if (signal) signal.removeEventListener('abort', abort);
        if (error) {
          if (signal?.aborted) reject(abortReason(signal));
          else if (caller.isClosed()) reject(closedError(address, writes));
          else reject(fromGrpcError(error, address, writes));
        } else if (reply instanceof Malformed) reject(reply.error);
        else resolve(reply as Reply);
      },
    );
    const abort = () => call.cancel();
    signal?.addEventListener('abort', abort, { once: true });
  });
}
