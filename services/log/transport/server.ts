import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Clock } from '../../../ports/clock.js';
import type { CallOptions } from '../../../proto/calls.js';
import {
  asServiceDefinition,
  grpcAddress,
  MESSAGE_SLACK_BYTES,
  serverOptions,
} from '../../../proto/channel.js';
import { safeFromWire } from '../../../proto/convert.js';
import { asTallyringError, TallyringError } from '../../../proto/errors.js';
import { listenFailure } from '../../../proto/listen.js';
import { Malformed, type Method, reflectedPackages } from '../../../proto/load.js';
import { LOG_SERVICE, type LogService, logService } from '../../../proto/log-service.js';
import { toGrpcError } from '../../../proto/status.js';
import type { LogConfig } from '../config.js';
import type { LogCore } from '../core.js';
import { keyFromWire, letterFromWire, letterToWire, replayFromWire } from './convert.js';

/** Calls in work get this long to end when the server closes. */
const CLOSE_GRACE_MS = 500;
/** An answer needs this long to reach the caller before its own deadline cuts it off; a tenth at most. */
const ANSWER_MARGIN_MS = 20;

export interface LogServerOptions {
  core: LogCore;
  config: LogConfig;
  clock: Clock;
  /** Every call that ended, with its result code. */
  onCall(call: string, code: string): void;
}

type RequestOf<M> = M extends Method<infer Request, infer _> ? Request : never;
type ReplyOf<M> = M extends Method<infer _, infer Reply> ? Reply : never;
type Methods = {
  [M in keyof LogService]: (
    request: RequestOf<LogService[M]>,
    options: CallOptions,
  ) => Promise<ReplyOf<LogService[M]>>;
};

/** The log's gRPC server: the service, health and reflection on one port. */
export class LogServer {
  readonly #server: Server;
  readonly #health = new HealthImplementation();
  readonly #config: LogConfig;
  #port = 0;

  constructor(options: LogServerOptions) {
    const { config } = options;
    this.#config = config;
    const maxReceiveBytes = config.maxAppendBytes + MESSAGE_SLACK_BYTES;
    this.#server = new Server(serverOptions({ maxReceiveBytes }));
    this.#server.addService(asServiceDefinition(logService), implementation(options));
    this.setServing(false);
    this.#health.addToServer({
      addService: (service, handlers) =>
        this.#server.addService(service as ServiceDefinition, handlers as UntypedServiceImplementation),
    });
    new ReflectionService(reflectedPackages(['log.proto'])).addToServer(this.#server);
  }

  /** Gives the port. Rejects FAILED_PRECONDITION when it cannot listen there. */
  bind(): Promise<number> {
    const { host, port } = this.#config;
    return new Promise((resolve, reject) => {
      const address = grpcAddress(host, port);
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error) return reject(listenFailure(host, port, error));
        this.#port = bound;
        resolve(bound);
      });
    });
  }

  setServing(serving: boolean): void {
    for (const service of ['', LOG_SERVICE]) {
      this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /** Takes no new calls, lets those in work end for a moment, then cuts the rest. */
  close(): Promise<void> {
    this.setServing(false);
    return new Promise((resolve) => {
      // forceShutdown() would cut nothing: it knows only connections that channelz counts.
      if (this.#port !== 0) this.#server.drain(grpcAddress(this.#config.host, this.#port), CLOSE_GRACE_MS);
      this.#server.tryShutdown(() => resolve());
    });
  }
}

function implementation(options: LogServerOptions): UntypedServiceImplementation {
  const methods = methodsOf(options);
  const handlers = Object.entries(methods).map(([name, run]) => [
    name,
    unary(options, name, run as (request: unknown, options: CallOptions) => Promise<unknown>),
  ]);
  return Object.fromEntries(handlers) as UntypedServiceImplementation;
}

function unary(
  options: LogServerOptions,
  name: string,
  run: (request: unknown, options: CallOptions) => Promise<unknown>,
) {
  const { core, onCall } = options;
  const checked = async (request: unknown, deadline: Date | number, signal: AbortSignal) => {
    if (request instanceof Malformed) throw request.error;
    if (name !== 'Describe') checkLogId(core, request as { logId: string });
    return await run(request, { timeoutMs: timeoutOf(deadline, options), signal });
  };
  return (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => {
    const cut = new AbortController();
    call.on('cancelled', () => cut.abort(new TallyringError('UNAVAILABLE', 'the caller gave up')));
    checked(call.request, call.getDeadline(), cut.signal).then(
      (reply) => {
        onCall(name, 'OK');
        callback(null, reply);
      },
      (error: unknown) => {
        onCall(name, asTallyringError(error).code);
        callback(toGrpcError(error));
      },
    );
  };
}

function checkLogId(core: LogCore, { logId }: { logId: string }): void {
  if (logId === core.description.logId) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `this is log ${core.description.logId}, not ${logId || '(none)'}: the log was set up anew, or the address is ` +
      "another log's; nothing was done",
  );
}

function timeoutOf(deadline: Date | number, { config, clock }: LogServerOptions): number {
  if (deadline === Infinity) return config.defaultRequestMs;
  const leftMs = Number(deadline) - clock.wallMs();
  return Math.min(leftMs - Math.min(ANSWER_MARGIN_MS, leftMs / 10), config.maxRequestMs);
}

function methodsOf({ core, config }: LogServerOptions): Methods {
  return {
    Describe: async () => ({
      ...core.description,
      maxAppendBytes: config.maxAppendBytes,
      maxRecordBytes: config.maxRecordBytes,
      maxReadBytes: config.maxReadBytes,
    }),
    async Append({ appends }, options) {
      const frames = appends.map(({ records, ...frame }) => ({ ...frame, bytes: records }));
      const runs = await core.appendFrames(frames, options);
      return { firstOffsets: runs.map(({ firstOffset }) => firstOffset) };
    },
    Read: ({ partition, from, maxBytes, waitMs }, options) =>
      core.readBlocks(partition, safeFromWire('from', from), { ...options, maxBytes, waitMs }),
    Bounds: ({ partition }, options) => core.bounds(partition, options),
    async Release({ partition, before }, options) {
      await core.release(partition, safeFromWire('before', before), options);
      return {};
    },
    async PutDeadLetters({ letters }, options) {
      await core.deadLetters.put(letters.map(letterFromWire), options);
      return {};
    },
    async ListDeadLetters({ after, limit }, options) {
      const letters = await core.deadLetters.list(after ? keyFromWire(after) : undefined, limit, options);
      return { letters: letters.map(letterToWire) };
    },
    async MarkDeadLetter({ key, replay }, options) {
      await core.deadLetters.mark(keyFromWire(key), replayFromWire(replay), options);
      return {};
    },
  };
}
