import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { errorToWire } from '../../proto/convert.js';
import { asTallyringError, errorToData, TallyringError } from '../../proto/errors.js';
import { Malformed } from '../../proto/load.js';
import type { WirePeerFrame } from '../../proto/messages.js';
import { decodeRequest, encodeBody } from '../../proto/peer-message.js';
import { toGrpcError } from '../../proto/status.js';
import type { ClusterConfig, Limits } from '../config.js';
import type { PeerHandler } from '../peers.js';
import { maxBodyBytes, PEER_FORMAT, PEER_METADATA } from './peer-wire.js';
import { type OpenStreams, serveStream } from './served-stream.js';

export interface PeerServerOptions {
  config: ClusterConfig;
  nodeId: string;
  handler: PeerHandler;
  clock: Clock;
  logger: Logger;
  streams: OpenStreams;
  /** A node opened its stream: it is up. */
  onOpened?: ((nodeId: string) => void) | undefined;
}

type PeerCall = ServerDuplexStream<WirePeerFrame | Malformed, WirePeerFrame>;

const EMPTY = Buffer.alloc(0);

function refuse(message: string): TallyringError {
  return new TallyringError('FAILED_PRECONDITION', message);
}

/** Why a stream with this metadata is not taken; else the nodeId of its opener. */
export function checkOpening(
  metadata: Metadata,
  { config, nodeId }: Pick<PeerServerOptions, 'config' | 'nodeId'>,
): string {
  const read = (name: string) => String(metadata.get(name)[0] ?? '');
  const cluster = read(PEER_METADATA.cluster);
  const from = read(PEER_METADATA.node);
  const target = read(PEER_METADATA.target);
  const format = Number(read(PEER_METADATA.format));
  if (cluster !== config.cluster) {
    throw refuse(
      `this node is of cluster ${config.cluster}, not ${cluster || '(none named)'}: check the address`,
    );
  }
  if (target !== nodeId) {
    throw refuse(`this is node ${nodeId}, not ${target || '(none named)'}: check the address in cluster.yml`);
  }
  if (from === nodeId) throw refuse(`another process calls itself ${nodeId} too: stop one of them`);
  if (!config.nodes.some((node) => node.id === from)) {
    throw refuse(`node ${from || '(none named)'} is not in the cluster.yml of ${nodeId}`);
  }
  if (!Number.isInteger(format) || format < 1) throw refuse('the peer names no format');
  if (format > PEER_FORMAT) {
    throw new TallyringError(
      'UNSUPPORTED_FORMAT',
      `peer format ${format} is newer than ${PEER_FORMAT}, which ${nodeId} speaks: upgrade ${nodeId}`,
    );
  }
  return from;
}

/** Answers one frame; never rejects. `undefined`: the asker has stopped waiting. */
async function answerFrame(
  from: string,
  frame: WirePeerFrame | Malformed,
  { handler, clock, limits }: { handler: PeerHandler; clock: Clock; limits: Limits },
): Promise<WirePeerFrame | undefined> {
  if (frame instanceof Malformed) return failure(0, frame.error);
  const { id } = frame;
  const timeoutMs = Math.min(frame.timeoutMs, limits.maxRequestMs);
  if (timeoutMs <= 0) return undefined;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  try {
    const body = encodeBody(await handler(from, decodeRequest(frame.kind, frame.body), timeoutMs));
    if (clock.monotonicMs() >= deadlineMs) return undefined;
    if (body.length > maxBodyBytes(limits)) {
      const text = `the answer has ${body.length} bytes, more than limits.maxBatchBytes: ask for less`;
      throw new TallyringError('OVERLOADED', text, { retryable: false });
    }
    return { id, kind: '', timeoutMs: 0, body };
  } catch (error) {
    return failure(id, error);
  }
}

function failure(id: number, thrown: unknown): WirePeerFrame {
  const error = errorToWire(errorToData(asTallyringError(thrown)));
  return { id, kind: '', timeoutMs: 0, body: EMPTY, error };
}

/** The handler of Peer.Exchange: checks who opens, then answers requests in any order. */
export function exchangeHandler(options: PeerServerOptions): (call: PeerCall) => void {
  const { config, nodeId, handler, clock, logger } = options;
  const { limits } = config;
  return (call) => {
    let from: string;
    try {
      from = checkOpening(call.metadata, options);
    } catch (error) {
      logger.warn({ peer: call.getPeer(), reason: (error as Error).message }, 'refused a peer');
      call.on('error', () => undefined);
      call.emit('error', toGrpcError(error));
      return;
    }
    const acceptance = new Metadata();
    acceptance.set(PEER_METADATA.cluster, config.cluster);
    acceptance.set(PEER_METADATA.node, nodeId);
    acceptance.set(PEER_METADATA.format, String(PEER_FORMAT));
    call.sendMetadata(acceptance);
    options.onOpened?.(from);
    serveStream<WirePeerFrame | Malformed, WirePeerFrame>(call, {
      streams: options.streams,
      limitBytes: limits.maxPeerQueueBytes,
      requestBytes: (frame) => (frame instanceof Malformed ? 0 : frame.body.length),
      replyBytes: (frame) => frame.body.length,
      answer: (frame) => answerFrame(from, frame, { handler, clock, limits }),
    });
  };
}
