import type {
  ServerDuplexStream,
  ServerUnaryCall,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '../../ports/clock.js';
import type { CallOptions, NodeCalls } from '../../proto/calls.js';
import * as convert from '../../proto/convert.js';
import { descriptionToWire, reportToWire } from '../../proto/convert-operator.js';
import { PRODUCER_ID_BYTES } from '../../proto/entry.js';
import { asTallyringError, errorFromData, errorToData, TallyringError } from '../../proto/errors.js';
import { type CounterService, Malformed, type Method, type OperatorService } from '../../proto/load.js';
import type { WireFlushReply, WireFlushRequest } from '../../proto/messages.js';
import { toGrpcError } from '../../proto/status.js';
import type { Limits } from '../config.js';
import { namedTimeout, timeoutOf } from './deadline.js';
import { type OpenStreams, serveStream } from './served-stream.js';

export interface ServiceContext {
  calls: NodeCalls;
  limits: Limits;
  clock: Clock;
  streams: OpenStreams;
}

type RequestOf<M> = M extends Method<infer Request, infer _> ? Request : never;
type ReplyOf<M> = M extends Method<infer _, infer Reply> ? Reply : never;
type Unary<M> = (request: RequestOf<M>, options: CallOptions) => Promise<ReplyOf<M>>;

/** A function of plain data as a gRPC handler. No timer and no signal per call: the node keeps the timeout. */
function unary<Request, Reply>(
  { limits, clock }: ServiceContext,
  run: (request: Request, options: CallOptions) => Promise<Reply>,
) {
  return (call: ServerUnaryCall<Request | Malformed, Reply>, callback: sendUnaryData<Reply>) => {
    const fail = (error: unknown) => callback(toGrpcError(error));
    const { request } = call;
    if (request instanceof Malformed) return fail(request.error);
    const timeoutMs = timeoutOf(call.getDeadline(), limits, clock);
    if (timeoutMs <= 0) return fail(expired());
    run(request, { timeoutMs }).then((reply) => callback(null, reply), fail);
  };
}

function expired(): TallyringError {
  return new TallyringError(
    'WRITE_TIMEOUT',
    'the deadline had passed when the call arrived; nothing was done',
    {
      mayHaveApplied: false,
      retryable: true,
    },
  );
}

/** The one outcome of a call with one request. */
function only<T>(outcomes: readonly ({ ok: T } | { error: Parameters<typeof errorFromData>[0] })[]): T {
  const outcome = outcomes[0];
  if (!outcome) throw new TallyringError('INTERNAL', 'the node gave no outcome; please report this');
  if ('error' in outcome) throw errorFromData(outcome.error);
  return outcome.ok;
}

function flushStream(context: ServiceContext) {
  const { calls, limits, streams } = context;
  return (call: ServerDuplexStream<WireFlushRequest | Malformed, WireFlushReply>) => {
    serveStream(call, {
      streams,
      limitBytes: limits.maxPeerQueueBytes,
      requestBytes: (request) => (request instanceof Malformed ? 0 : request.batch.length),
      replyBytes: () => 0,
      answer: async (request): Promise<WireFlushReply> => {
        if (request instanceof Malformed) return failedFlush(0, request.error);
        try {
          const reply = await calls.flush(
            {
              ringEpoch: convert.safeFromWire('ring_epoch', request.ringEpoch),
              level: convert.levelFromWire(request.consistency),
              batch: request.batch,
            },
            { timeoutMs: namedTimeout(request.timeoutMs, limits) },
          );
          return convert.flushReplyToWire(request.id, reply);
        } catch (error) {
          return failedFlush(request.id, error);
        }
      },
    });
  };
}

function failedFlush(id: number, error: unknown): WireFlushReply {
  return { id, failures: [], error: convert.errorToWire(errorToData(asTallyringError(error))) };
}

/** The service tallyring.v1.Counter on top of a node. */
export function counterImplementation(context: ServiceContext): UntypedServiceImplementation {
  const { calls } = context;
  type Methods = { [M in Exclude<keyof CounterService, 'Flush'>]: Unary<CounterService[M]> };
  const methods: Methods = {
    Increment: async (request, options) => {
      const level = convert.levelFromWire(request.consistency);
      only(await calls.increment([convert.incrementFromWire(request)], level, options));
      return {};
    },
    BatchIncrement: async ({ items, consistency }, options) => {
      const level = convert.levelFromWire(consistency);
      const outcomes = await calls.increment(items.map(convert.incrementFromWire), level, options);
      return {
        outcomes: outcomes.map((outcome) =>
          'error' in outcome ? { error: convert.errorToWire(outcome.error) } : {},
        ),
      };
    },
    Get: async (request, options) => {
      const level = convert.levelFromWire(request.consistency);
      const query = convert.cellQueryFromWire(request);
      return { value: convert.valueToWire(only(await calls.get([query], level, options))) };
    },
    GetMany: async ({ queries, consistency }, options) => {
      const level = convert.levelFromWire(consistency);
      return convert.cellOutcomesToWire(
        await calls.get(queries.map(convert.cellQueryFromWire), level, options),
      );
    },
    Stats: async (request, options) => {
      const level = convert.levelFromWire(request.consistency);
      const query = convert.statsQueryFromWire(request);
      return convert.statsToWire(only(await calls.stats([query], level, options)));
    },
    StatsMany: async ({ queries, consistency }, options) => {
      const level = convert.levelFromWire(consistency);
      const outcomes = await calls.stats(queries.map(convert.statsQueryFromWire), level, options);
      return {
        outcomes: outcomes.map((outcome) =>
          'ok' in outcome
            ? { stats: convert.statsToWire(outcome.ok) }
            : { error: convert.errorToWire(outcome.error) },
        ),
      };
    },
    Describe: async (_, options) => descriptionToWire(await calls.describe(options)),
    MintProducer: async ({ above }, options) => {
      if (above && above.length !== PRODUCER_ID_BYTES) {
        throw new TallyringError('INVALID_ARGUMENT', `above must have ${PRODUCER_ID_BYTES} bytes`);
      }
      return { producerId: await calls.mintProducer(above, options) };
    },
  };
  return { ...handlers(context, methods), Flush: flushStream(context) };
}

/** The service tallyring.v1.Operator on top of a node. */
export function operatorImplementation(context: ServiceContext): UntypedServiceImplementation {
  const { calls } = context;
  type Methods = { [M in keyof OperatorService]: Unary<OperatorService[M]> };
  const methods: Methods = {
    Report: async (_, options) => reportToWire(await calls.report(options)),
    EndpointsOf: async ({ key }, options) => ({ nodeIds: await calls.endpointsOf(key, options) }),
    GetLocal: async ({ queries }, options) =>
      convert.cellOutcomesToWire(await calls.getLocal(queries.map(convert.cellQueryFromWire), options)),
    ScanLocal: ({ after, limit }, options) => calls.scanLocal(after, limit, options),
  };
  return handlers(context, methods);
}

function handlers<Methods extends object>(context: ServiceContext, methods: Methods) {
  const implementation: UntypedServiceImplementation = {};
  for (const [name, run] of Object.entries(methods)) implementation[name] = unary(context, run);
  return implementation;
}
