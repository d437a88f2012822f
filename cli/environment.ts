import type { TallyringClient } from '../client/client.js';
import type { OperatorConnection } from '../client/transport.js';
import type { Int64 } from '../counter/int64.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { DeadLetters } from '../services/log/dead-letters.js';
import type { EventLog } from '../services/log/log.js';
import type { LogPlace } from '../services/log/open-log.js';

/** Everything outside that a verb touches, so that tests can put their own in its place. */
export interface Environment {
  stdin: AsyncIterable<Uint8Array>;
  stdout: Terminal;
  stderr: Terminal;
  /** Where relative paths start, and where the project (cluster.yml, dist/) lies. */
  cwd: string;
  projectRoot: string;
  /** The release, of package.json. */
  version: string;
  /** How this command is called from the working folder: what messages tell to type begins with it. */
  command: string;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Lazy: calls reject with UNAVAILABLE when nothing listens there. */
  connect(address: string): Promise<OperatorConnection>;
  openSink(options: SinkOptions): Promise<EventSink>;
  /** The SDK. Rejects UNAVAILABLE when no node answers. */
  openClient(contactPoints: readonly string[]): Promise<TallyringClient<'bigint'>>;
  /** The event log at a place. Rejects UNAVAILABLE when nothing listens there. */
  openLog(place: LogPlace, timeoutMs: number): Promise<LogConnection>;
  /** One HTTP request. Rejects UNAVAILABLE or WRITE_TIMEOUT when no answer comes, `mayHaveApplied` says what is known. */
  http(request: HttpRequest): Promise<HttpAnswer>;
  /** Calls back at SIGINT and SIGTERM until the returned function is called. */
  onInterrupt(callback: () => void): () => void;
}

export type { OperatorConnection };

export interface Terminal {
  readonly isTty: boolean;
  readonly columns: number;
  /** Resolves when more may be written. */
  write(text: string): Promise<void>;
}

export interface LogConnection {
  log: EventLog;
  deadLetters: DeadLetters;
}

export interface HttpRequest {
  url: string;
  /** A POST of JSON; a GET when absent. */
  body?: string | undefined;
  timeoutMs: number;
}

export interface HttpAnswer {
  status: number;
  /** What its JSON says; undefined when it is none. */
  body: unknown;
}

export interface SinkOptions {
  contactPoints: string[];
  localDatacenter: string | undefined;
  consistency: ConsistencyLevel;
  /** Told when a node goes down or comes up. */
  onNode(nodeId: string, up: boolean): void;
}

/** What `import` counts into: the SDK, or the processing service. */
export interface EventSink {
  /**
   * Counts one event. Throws when it was not taken (INVALID_ARGUMENT, OUT_OF_RANGE). When the cluster does
   * not keep up, the answer is a promise instead: the event is taken when it resolves, and only then may the
   * next one come.
   */
  count(event: SinkEvent): Promise<void> | undefined;
  /** Resolves when everything taken so far is acknowledged. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface SinkEvent {
  key: string;
  eventType: string;
  value: Int64;
  timestampMs: number | undefined;
  /** Of the file, from 1. */
  line: number;
  /** As the line says, unchecked: the SDK does not look at them. */
  eventId?: unknown;
  attributes?: unknown;
}
