import type { PeerKind, PeerRequest, ReplyBody, RequestBody } from '../proto/peer-message.js';

/**
 * How a node reaches the others: gRPC streams in production, the simulated network in tests. Bytes travel,
 * never objects.
 */
export interface Peers {
  /**
   * Asks one node and waits for its answer, at most `timeoutMs`. Rejects with the peer's own TallyringError,
   * with UNAVAILABLE (`mayHaveApplied` false when nothing was sent) when the connection is refused or
   * reset, with WRITE_TIMEOUT when no answer came, or with OVERLOADED, nothing sent, when the bytes that
   * wait for this peer are over their limit.
   */
  request<K extends PeerKind>(
    nodeId: string,
    kind: K,
    body: RequestBody<K>,
    timeoutMs: number,
  ): Promise<ReplyBody<K>>;
  /** False from the moment a connection is refused or reset until one succeeds again. */
  isConnected(nodeId: string): boolean;
  close(): Promise<void>;
}

/** Answers what other nodes ask. Rejections travel back as TallyringErrors. */
export type PeerHandler = (from: string, request: PeerRequest, timeoutMs: number) => Promise<object>;
