import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterConfig, clusterSchema } from '../../../node/config.js';
import type { PeerHandler } from '../../../node/peers.js';
import { GrpcPeers } from '../../../node/transport/peers.js';
import { NodeServer } from '../../../node/transport/server.js';
import { silentLogger } from '../../../ports/logger.js';
import { realClock, realRandom, realTimers } from '../../../ports/real.js';
import type { NodeCalls } from '../../../proto/calls.js';
import { type ErrorCode, TallyringError } from '../../../proto/errors.js';

/** Every error code with its gRPC status, written down a second time. */
export const GRPC_STATUS: Record<ErrorCode, number> = {
  INVALID_ARGUMENT: 3,
  WRITE_TIMEOUT: 4,
  READ_TIMEOUT: 4,
  PENDING: 4,
  OVERLOADED: 8,
  STALE_RING: 9,
  FAILED_PRECONDITION: 9,
  UNSUPPORTED_FORMAT: 9,
  NOT_WHOLE: 9,
  CLOSED: 9,
  FENCED: 10,
  OUT_OF_RANGE: 11,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  STORE_FAILED: 14,
  DATA_LOSS: 15,
};
export const ALL_CODES = Object.keys(GRPC_STATUS) as ErrorCode[];

/** A cluster.yml of nodes n1, n2, … on consecutive ports. */
export function clusterOf(
  firstPort: number,
  options: { nodes?: number; limits?: object } = {},
): ClusterConfig {
  const { nodes = 2, limits = {} } = options;
  return clusterSchema.parse({
    cluster: 'test',
    replication: { dc1: 1 },
    nodes: Array.from({ length: nodes }, (_, i) => ({ id: `n${i + 1}`, port: firstPort + i })),
    limits,
  });
}

const unexpected = (name: string) => async () => {
  throw new TallyringError('INTERNAL', `the test did not expect ${name}`);
};

/** A node that answers only what a test gives it. */
export function fakeCalls(answers: Partial<NodeCalls> = {}): NodeCalls {
  return {
    describe: unexpected('describe'),
    mintProducer: unexpected('mintProducer'),
    flush: unexpected('flush'),
    increment: unexpected('increment'),
    get: unexpected('get'),
    stats: unexpected('stats'),
    shards: unexpected('shards'),
    columns: unexpected('columns'),
    report: unexpected('report'),
    endpointsOf: unexpected('endpointsOf'),
    getLocal: unexpected('getLocal'),
    scanLocal: unexpected('scanLocal'),
    acquireRegister: unexpected('acquireRegister'),
    writeRegister: unexpected('writeRegister'),
    readRegister: unexpected('readRegister'),
    ...answers,
  };
}

export async function startServer(
  config: ClusterConfig,
  options: { nodeId?: string; calls?: Partial<NodeCalls>; handlePeer?: PeerHandler } = {},
): Promise<NodeServer> {
  const server = new NodeServer({
    config,
    nodeId: options.nodeId ?? 'n1',
    calls: fakeCalls(options.calls),
    handlePeer: options.handlePeer ?? (async () => ({})),
    clock: realClock,
    logger: silentLogger,
  });
  await server.bind();
  return server;
}

export function peersOf(
  config: ClusterConfig,
  nodeId: string,
  onConnection?: (nodeId: string, connected: boolean) => void,
): GrpcPeers {
  return new GrpcPeers({
    config,
    nodeId,
    clock: realClock,
    timers: realTimers,
    random: realRandom,
    logger: silentLogger,
    onConnection,
  });
}

/** Waits for a condition, at most `boundMs`. */
export async function until(condition: () => boolean, boundMs = 8_000): Promise<void> {
  const end = Date.now() + boundMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error('the condition did not come true in time');
    await delay(5);
  }
}

/** What a promise rejects with; fails when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<TallyringError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof TallyringError) return error;
    throw error;
  }
  throw new Error('it resolved');
}
