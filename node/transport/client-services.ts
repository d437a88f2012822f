import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '../../ports/clock.js';
import type { CallOptions, NodeCalls } from '../../proto/calls.js';
import * as convert from '../../proto/convert.js';
import { columnOutcomesToWire } from '../../proto/convert-column.js';
import { descriptionToWire, reportToWire } from '../../proto/convert-operator.js';
import { addressFromWire, mintFromWire, shardOutcomesToWire } from '../../proto/convert-producer.js';
import { recordFromWire, recordToWire } from '../../proto/convert-register.js';
import { errorFromData, TallyringError } from '../../proto/errors.js';
import {
  type CounterService,
  Malformed,
  type Method,
  type OperatorService,
  type RegisterService,
} from '../../proto/load.js';
import type {
  WireFlushReply,
  WireFlushRequest,
  WireGetManyReply,
  WireGetManyRequest,
  WireQueryReply,
  WireQueryRequest,
  WireStatsManyReply,
  WireStatsManyRequest,
} from '../../proto/messages.js';
import { toGrpcError } from '../../proto/status.js';
import type { Limits } from '../config.js';
import { namedAnswerTimeout, namedTimeout, timeoutOf } from './deadline.js';
import { numberedCalls } from './numbered-calls.js';
import type { OpenStreams } from './served-stream.js';

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

/** What a message of no content, a query and an outcome may come to in memory, beside their texts. */
const MESSAGE_BYTES = 100;
const CELL_BYTES = 200;

function flushStream(context: ServiceContext) {
  const { calls } = context;
  return numberedCalls<WireFlushRequest, WireFlushReply>(context, {
    requestBytes: ({ batch }) => batch.length,
    replyBytes: () => 0,
    timeoutOf: namedTimeout,
    answer: async (request, options) =>
      convert.flushReplyToWire(request.id, await calls.flush(convert.flushFromWire(request), options)),
    failed: (id, error) => ({ id, failures: [], error }),
  });
}

function queryStream(context: ServiceContext) {
  return numberedCalls<WireQueryRequest, WireQueryReply>(context, {
    requestBytes: ({ queries, stats }) => MESSAGE_BYTES + bytesOf(queries) + bytesOf(stats),
    replyBytes: ({ outcomes, stats }) =>
      stats.reduce(
        (bytes, { stats: answer }) => bytes + CELL_BYTES * (1 + (answer?.series.length ?? 0)),
        MESSAGE_BYTES + outcomes.length * CELL_BYTES,
      ),
    timeoutOf: namedAnswerTimeout,
    answer: async (request, options) => {
      const [{ outcomes }, { outcomes: stats }] = await Promise.all([
        isOfStatsAlone(request) ? NOTHING : getMany(context, request, options),
        request.stats.length === 0 ? NOTHING : statsMany(context, statsOf(request), options),
      ]);
      return { id: request.id, outcomes, stats };
    },
    failed: (id, error) => ({ id, outcomes: [], stats: [], error }),
  });
}

const NOTHING = { outcomes: [] };

function isOfStatsAlone({ queries, stats }: WireQueryRequest): boolean {
  return queries.length === 0 && stats.length > 0;
}

function statsOf({ stats, consistency }: WireQueryRequest): WireStatsManyRequest {
  return { queries: stats, consistency };
}

function bytesOf(queries: readonly { key: string; eventType: string }[]): number {
  return queries.reduce((bytes, { key, eventType }) => bytes + CELL_BYTES + key.length + eventType.length, 0);
}

async function getMany(
  { calls }: ServiceContext,
  { queries, consistency }: WireGetManyRequest,
  options: CallOptions,
): Promise<WireGetManyReply> {
  const level = convert.levelFromWire(consistency);
  return convert.cellOutcomesToWire(await calls.get(queries.map(convert.cellQueryFromWire), level, options));
}

async function statsMany(
  { calls }: ServiceContext,
  { queries, consistency }: WireStatsManyRequest,
  options: CallOptions,
): Promise<WireStatsManyReply> {
  const level = convert.levelFromWire(consistency);
  const outcomes = await calls.stats(queries.map(convert.statsQueryFromWire), level, options);
  return { outcomes: convert.statsOutcomesToWire(outcomes) };
}

/** The service tallyring.v1.Counter on top of a node. */
export function counterImplementation(context: ServiceContext): UntypedServiceImplementation {
  const { calls } = context;
  type Methods = { [M in Exclude<keyof CounterService, 'Flush' | 'Query'>]: Unary<CounterService[M]> };
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
    GetMany: (request, options) => getMany(context, request, options),
    Stats: async (request, options) => {
      const level = convert.levelFromWire(request.consistency);
      const query = convert.statsQueryFromWire(request);
      return convert.statsToWire(only(await calls.stats([query], level, options)));
    },
    StatsMany: (request, options) => statsMany(context, request, options),
    Shards: async ({ cells, consistency }, options) => {
      const level = convert.levelFromWire(consistency);
      return shardOutcomesToWire(await calls.shards(cells.map(addressFromWire), level, options));
    },
    Columns: async ({ keys, consistency }, options) =>
      columnOutcomesToWire(await calls.columns(keys, convert.levelFromWire(consistency), options)),
    Describe: async (_, options) => descriptionToWire(await calls.describe(options)),
    MintProducer: async (request, options) => ({
      producerId: await calls.mintProducer(mintFromWire(request), options),
    }),
  };
  return { ...handlers(context, methods), Flush: flushStream(context), Query: queryStream(context) };
}

/** The service tallyring.v1.Register on top of a node. */
export function registerImplementation(context: ServiceContext): UntypedServiceImplementation {
  const { calls } = context;
  type Methods = { [M in keyof RegisterService]: Unary<RegisterService[M]> };
  const methods: Methods = {
    Acquire: async ({ name }, options) => recordToWire(await calls.acquireRegister(name, options)),
    Write: async ({ name, record }, options) => {
      await calls.writeRegister(name, recordFromWire(record), options);
      return {};
    },
    Read: async ({ name }, options) => {
      const record = await calls.readRegister(name, options);
      return { record: record === undefined ? null : recordToWire(record) };
    },
  };
  return handlers(context, methods);
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
