import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { Clock } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { NodeCalls } from '../../proto/calls.js';
import { asServiceDefinition, grpcAddress, serverOptions } from '../../proto/channel.js';
import { TallyringError } from '../../proto/errors.js';
import { checkListenHost, listenFailure } from '../../proto/listen.js';
import {
  COUNTER_SERVICE,
  counterService,
  OPERATOR_SERVICE,
  operatorService,
  PEER_SERVICE,
  peerService,
  REGISTER_SERVICE,
  reflectedPackages,
  registerService,
} from '../../proto/load.js';
import type { ClusterConfig, NodeConfig } from '../config.js';
import type { PeerHandler } from '../peers.js';
import { counterImplementation, operatorImplementation, registerImplementation } from './client-services.js';
import { exchangeHandler } from './peer-server.js';
import { maxMessageBytes } from './peer-wire.js';
import type { OpenStreams } from './served-stream.js';

export interface NodeServerOptions {
  config: ClusterConfig;
  nodeId: string;
  calls: NodeCalls;
  handlePeer: PeerHandler;
  clock: Clock;
  logger: Logger;
  /** A node opened its stream to this one: it is up. */
  onPeerOpened?: ((nodeId: string) => void) | undefined;
}

/** Calls in work get this long to end when the server closes. */
const CLOSE_GRACE_MS = 500;

/** The configuration of a node by its id; throws FAILED_PRECONDITION when cluster.yml has none. */
export function nodeConfigOf(config: ClusterConfig, nodeId: string): NodeConfig {
  const found = config.nodes.find((node) => node.id === nodeId);
  if (found) return found;
  const known = config.nodes.map((node) => node.id).join(', ');
  throw new TallyringError('FAILED_PRECONDITION', `cluster.yml has no node ${nodeId}; it has ${known}`);
}

/** Without TLS a node listens on loopback only, unless cluster.yml says that it may. */
export function checkHost(config: ClusterConfig, { id, host }: NodeConfig): void {
  checkListenHost(`node ${id}`, host, config.insecure);
}

/** A node's gRPC server: clients, operators, peers, health and reflection on one port. */
export class NodeServer {
  readonly #server: Server;
  readonly #health: HealthImplementation;
  readonly #node: NodeConfig;
  readonly #streams: OpenStreams = new Set();

  constructor(options: NodeServerOptions) {
    const { config, nodeId, calls, handlePeer, clock, logger } = options;
    this.#node = nodeConfigOf(config, nodeId);
    checkHost(config, this.#node);
    const context = { calls, limits: config.limits, clock, streams: this.#streams };
    this.#server = new Server(serverOptions({ maxReceiveBytes: maxMessageBytes(config.limits) }));
    const add = (service: object, implementation: Parameters<Server['addService']>[1]) =>
      this.#server.addService(asServiceDefinition(service), implementation);
    add(counterService, counterImplementation(context));
    add(registerService, registerImplementation(context));
    add(operatorService, operatorImplementation(context));
    add(peerService, {
      Exchange: exchangeHandler({
        config,
        nodeId,
        handler: handlePeer,
        clock,
        logger,
        streams: this.#streams,
        onOpened: options.onPeerOpened,
      }),
    });
    this.#health = new HealthImplementation();
    this.setServing(false);
    this.#health.addToServer({
      addService: (service, implementation) =>
        this.#server.addService(
          service as ServiceDefinition,
          implementation as Parameters<Server['addService']>[1],
        ),
    });
    new ReflectionService(reflectedPackages()).addToServer(this.#server);
  }

  /** Listens on the node's host and port. Rejects FAILED_PRECONDITION when it cannot. */
  bind(): Promise<void> {
    const { host, port } = this.#node;
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(grpcAddress(host, port), ServerCredentials.createInsecure(), (error) => {
        if (error) reject(listenFailure(host, port, error));
        else resolve();
      });
    });
  }

  /** gRPC health of the whole server and of each service. */
  setServing(serving: boolean): void {
    const status = serving ? 'SERVING' : 'NOT_SERVING';
    for (const service of ['', COUNTER_SERVICE, REGISTER_SERVICE, OPERATOR_SERVICE, PEER_SERVICE]) {
      this.#health.setStatus(service, status);
    }
  }

  /** Takes no new calls, lets those in work end for a moment, then cuts the rest. */
  close(): Promise<void> {
    this.setServing(false);
    for (const finish of [...this.#streams]) finish();
    return new Promise((resolve) => {
      // forceShutdown() would cut nothing: it knows only connections that channelz counts.
      const { host, port } = this.#node;
      this.#server.drain(grpcAddress(host, port), CLOSE_GRACE_MS);
      this.#server.tryShutdown(() => resolve());
    });
  }
}
