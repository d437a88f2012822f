/** One increment by 1 of a real event's counter. */
export interface CountedEvent {
  key: string;
  eventType: string;
  /** `key \t eventType`, as the truth names it. */
  name: string;
}

/** What a call came to: acknowledged, or why it failed and whether the system says that nothing was applied. */
export type CallOutcome = 'acknowledged' | { failure: string; isRefused: boolean };

/** Three nodes, numbered 1 to 3, each with a copy of every counter. */
export interface System {
  /** kill -9, done when this returns, so that every system loses its node between the same two events. */
  kill(node: number): void;
  /** Starts a killed node; resolves when it serves and all three nodes see each other up. */
  start(node: number): Promise<void>;
  stop(): Promise<void>;
}

/** A way to count in a running system. */
export interface Counting {
  /** One call. Rejects only when the test itself is broken. */
  count(event: CountedEvent): Promise<CallOutcome>;
  /** Resolves when all nodes are up and the system has done what it does by itself to agree. */
  settle(): Promise<void>;
  /** Every counter, by name. */
  totals(names: readonly string[]): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/** One column of the table. */
export interface Contestant {
  name: string;
  /** What was configured, in words. */
  setup: string;
  /** Whether a failed call is made again until it succeeds. */
  retries: boolean;
  /** What has to hold; undefined: a peer, which is only observed. */
  promise?: 'exact' | 'within the answers';
  open(): Promise<Counting>;
}
