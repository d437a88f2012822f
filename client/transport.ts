import type { ClientCalls, OperatorCalls, RegisterCalls } from '../proto/calls.js';

/**
 * How the SDK reaches nodes: gRPC in production, the simulated network in tests. Calls reject with the
 * node's own TallyringError; with UNAVAILABLE when the connection is refused (`mayHaveApplied` false) or
 * reset; with WRITE_TIMEOUT or READ_TIMEOUT when no answer came; with the signal's reason when it aborts.
 */
export interface NodeConnection extends ClientCalls, RegisterCalls {
  /** `host:port`. */
  readonly address: string;
  /** Calls in flight, and later ones, reject CLOSED. */
  close(): void;
}

export type OperatorConnection = NodeConnection & OperatorCalls;

export interface ClientTransport {
  /** Connects lazily, again after every loss, until closed. */
  connect(address: string): NodeConnection;
}
