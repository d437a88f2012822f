import { mkdir } from 'node:fs/promises';
import { collectDefaultMetrics } from 'prom-client';
import type { TimerHandle } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import { realClock, realRandom, realTimers } from '../ports/real.js';
import { type MetricsHttp, serveMetrics } from '../proto/metrics-http.js';
import type { ClusterConfig } from './config.js';
import { createMetrics } from './metrics.js';
import { createNode, type TallyNode } from './node.js';
import { openLevelStore } from './storage/level-store.js';
import { GrpcPeers } from './transport/peers.js';
import { checkHost, NodeServer, nodeConfigOf } from './transport/server.js';

export interface RunNodeOptions {
  config: ClusterConfig;
  nodeId: string;
  /** Of this node alone; made when it is missing. */
  dataFolder: string;
  /** The cluster is being made: a node without a store is new, not one that lost its store. */
  newCluster: boolean;
  /** The operator's word: what the store may have lost is not waited for. */
  acceptLoss?: boolean;
  logger: Logger;
}

export interface RunningNode {
  /** Says goodbye to the peers, lets calls in work end, syncs and closes the store. */
  stop(): Promise<void>;
}

const HEALTH_INTERVAL_MS = 200;

/**
 * Runs one node with the real things: gRPC, LevelDB, clocks. It listens only when it is ready to answer.
 * Rejects FAILED_PRECONDITION when the port is in use, the address is not allowed, or the folder belongs to
 * another node or process; nothing keeps running then.
 */
export async function runNode(options: RunNodeOptions): Promise<RunningNode> {
  const { config, nodeId, dataFolder, newCluster, acceptLoss = false, logger } = options;
  const { host, metricsPort } = nodeConfigOf(config, nodeId);
  checkHost(config, nodeConfigOf(config, nodeId));
  await mkdir(dataFolder, { recursive: true });
  const parts = { clock: realClock, timers: realTimers, random: realRandom, logger };
  const metrics = createMetrics(nodeId);
  collectDefaultMetrics({ register: metrics.registry });
  const peers = new GrpcPeers({ config, nodeId, metrics, ...parts });
  const node = createNode({
    config,
    nodeId,
    newCluster,
    acceptLoss,
    memoryBytes: () => process.memoryUsage.rss(),
    // Greater at each start, even when the node is back within the second.
    generation: Math.floor(realClock.wallMs()),
    metrics,
    peers,
    ...parts,
    openStore: (onCommit) =>
      openLevelStore({
        folder: dataFolder,
        cluster: config.cluster,
        nodeId,
        limits: config.limits,
        durability: config.durability,
        metrics,
        onCommit,
        ...parts,
      }),
  });
  const server = new NodeServer({
    config,
    nodeId,
    calls: node.calls,
    handlePeer: node.handlePeer,
    clock: realClock,
    logger,
    onPeerOpened: (peer) => peers.reconnectNow(peer),
  });
  const running: Running = { node, server, peers, metricsHttp: undefined, healthTimer: undefined };
  try {
    await node.start();
    await server.bind();
    if (metricsPort !== 0) {
      running.metricsHttp = await serveMetrics({
        host,
        port: metricsPort,
        registry: metrics.registry,
        health: () => node.health(),
      });
    }
  } catch (error) {
    await stop(running).catch((cause: unknown) => logger.error({ cause }, 'stopping after a failed start'));
    throw error;
  }
  watchHealth(running);
  let stopped: Promise<void> | undefined;
  return {
    stop() {
      stopped ??= stop(running);
      return stopped;
    },
  };
}

interface Running {
  node: TallyNode;
  server: NodeServer;
  peers: GrpcPeers;
  metricsHttp: MetricsHttp | undefined;
  healthTimer: TimerHandle | undefined;
}

/** gRPC health follows the node's own word. */
function watchHealth(running: Running): void {
  running.server.setServing(running.node.health().serving);
  running.healthTimer = realTimers.after(HEALTH_INTERVAL_MS, () => watchHealth(running));
}

/** Peers stay reachable until the node has said goodbye; the server stays until the node has answered. */
async function stop({ node, server, peers, metricsHttp, healthTimer }: Running): Promise<void> {
  healthTimer?.cancel();
  server.setServing(false);
  try {
    await node.stop();
  } finally {
    await peers.close();
    await Promise.all([server.close(), metricsHttp?.close()]);
  }
}
