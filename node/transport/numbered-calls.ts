import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { CallOptions } from '../../proto/calls.js';
import { errorToWire } from '../../proto/convert.js';
import { asTallyringError, errorToData } from '../../proto/errors.js';
import { Malformed } from '../../proto/load.js';
import type { WireError, WireNumberedReply, WireNumberedRequest } from '../../proto/messages.js';
import type { Limits } from '../config.js';
import { type OpenStreams, serveStream } from './served-stream.js';

export interface NumberedMethod<Request, Reply> {
  /** For back-pressure (see serveStream). */
  requestBytes(request: Request): number;
  replyBytes(reply: Reply): number;
  /** How long the node may work on a request that names `timeoutMs`. */
  timeoutOf(timeoutMs: number, limits: Limits): number;
  /** Answers one request; what it throws becomes a reply of `failed`. */
  answer(request: Request, options: CallOptions): Promise<Reply>;
  failed(id: number, error: WireError): Reply;
}

/**
 * The gRPC handler of a stream of numbered calls. A message that does not decode has no known number: it
 * is answered with number 0 and its error, and the stream goes on.
 */
export function numberedCalls<Request extends WireNumberedRequest, Reply extends WireNumberedReply>(
  { streams, limits }: { streams: OpenStreams; limits: Limits },
  method: NumberedMethod<Request, Reply>,
) {
  const failed = (id: number, error: unknown) =>
    method.failed(id, errorToWire(errorToData(asTallyringError(error))));
  const answer = async (request: Request | Malformed): Promise<Reply> => {
    if (request instanceof Malformed) return failed(0, request.error);
    try {
      return await method.answer(request, { timeoutMs: method.timeoutOf(request.timeoutMs, limits) });
    } catch (error) {
      return failed(request.id, error);
    }
  };
  return (call: ServerDuplexStream<Request | Malformed, Reply>) =>
    serveStream(call, {
      streams,
      limitBytes: limits.maxPeerQueueBytes,
      requestBytes: (request) => (request instanceof Malformed ? 0 : method.requestBytes(request)),
      replyBytes: method.replyBytes,
      answer,
    });
}
