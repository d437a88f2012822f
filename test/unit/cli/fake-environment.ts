import type {
  Environment,
  EventSink,
  OperatorConnection,
  SinkEvent,
  SinkOptions,
  Terminal,
} from '../../../cli/environment.js';
import { EMPTY_VALUE } from '../../../counter/shard.js';
import type { ClusterDescription, NodeReport } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';

/** Collects what is written. */
export function fakeTerminal(): Terminal & { text: string } {
  return {
    text: '',
    isTty: false,
    columns: 80,
    async write(text) {
      this.text += text;
    },
  };
}

export interface FakeEnvironment extends Environment {
  stdout: Terminal & { text: string };
  stderr: Terminal & { text: string };
  /** Addresses that were asked, in order. */
  asked: string[];
  /** Waits that were asked for, milliseconds. */
  slept: number[];
  /** Fires SIGINT. */
  interrupt(): void;
}

export function refused(): TallyringError {
  return new TallyringError('UNAVAILABLE', 'connection refused', { mayHaveApplied: false });
}

/** A node all of whose calls fail as refused, but for those given. */
export function fakeNode(calls: Partial<OperatorConnection>): OperatorConnection {
  const refuse = () => Promise.reject(refused());
  return {
    address: '',
    close() {},
    describe: refuse,
    mintProducer: refuse,
    flush: refuse,
    increment: refuse,
    get: refuse,
    stats: refuse,
    shards: refuse,
    columns: refuse,
    report: refuse,
    endpointsOf: refuse,
    getLocal: refuse,
    scanLocal: refuse,
    acquireRegister: refuse,
    writeRegister: refuse,
    readRegister: refuse,
    ...calls,
  };
}

interface Parts {
  nodes?: Record<string, Partial<OperatorConnection>>;
  stdin?: Iterable<string | Uint8Array>;
  sink?: (options: SinkOptions) => EventSink;
  http?: Environment['http'];
  openLog?: Environment['openLog'];
  cwd?: string;
}

export function fakeEnvironment(parts: Parts = {}): FakeEnvironment {
  const asked: string[] = [];
  const slept: number[] = [];
  const callbacks = new Set<() => void>();
  return {
    stdin: (async function* () {
      for (const chunk of parts.stdin ?? []) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    })(),
    stdout: fakeTerminal(),
    stderr: fakeTerminal(),
    cwd: parts.cwd ?? process.cwd(),
    projectRoot: process.cwd(),
    version: '1.2.3',
    command: 'tallyring',
    nowMs: () => Date.UTC(2026, 0, 31),
    sleep: async (ms) => void slept.push(ms),
    connect: async (address) => {
      asked.push(address);
      return fakeNode(parts.nodes?.[address] ?? {});
    },
    openSink: async (options) => {
      if (parts.sink === undefined) throw refused();
      return parts.sink(options);
    },
    openClient: () => Promise.reject(refused()),
    openLog: parts.openLog ?? (() => Promise.reject(refused())),
    http: parts.http ?? (() => Promise.reject(refused())),
    onInterrupt: (callback) => {
      callbacks.add(callback);
      return () => callbacks.delete(callback);
    },
    asked,
    slept,
    interrupt: () => {
      for (const callback of callbacks) callback();
    },
  };
}

/** A sink that keeps what it is given. */
export function fakeSink(events: SinkEvent[], overrides: Partial<EventSink> = {}): EventSink {
  return {
    count: (event) => {
      events.push(event);
      return undefined;
    },
    flush: async () => {},
    close: async () => {},
    ...overrides,
  };
}

export function description(nodeIds: readonly string[], replicas = nodeIds.length): ClusterDescription {
  return {
    cluster: 'test',
    ringEpoch: 1,
    vnodes: 8,
    replication: { dc1: replicas },
    rollups: ['total', 'day', 'hour'],
    nodes: nodeIds.map((nodeId, i) => ({
      nodeId,
      host: '127.0.0.1',
      port: 7101 + i,
      datacenter: 'dc1',
      rack: 'r1',
      up: true,
      status: 'normal',
    })),
    nodeId: nodeIds[0]!,
    maxBatchBytes: 1_000_000,
  };
}

export function report(nodeIds: readonly string[]): NodeReport {
  return {
    nodeId: nodeIds[0]!,
    cluster: 'test',
    version: '0.1.0',
    status: 'normal',
    waitsFor: '',
    storeId: 'store-of-self',
    storeState: 'ok',
    syncedBatch: 12,
    entries: 12_345,
    ringEpoch: 1,
    uptimeMs: 61_000,
    memoryBytes: 64 * 1024 * 1024,
    hints: {},
    damagedRows: 0,
    endpoints: nodeIds.map((nodeId) => ({
      nodeId,
      up: true,
      convicted: false,
      phi: 0.25,
      generation: 7,
      heartbeat: 42,
      facts: { host: '127.0.0.1', port: 7101, status: 'normal', storeId: `store-of-${nodeId}` },
    })),
    ownership: Object.fromEntries(nodeIds.map((nodeId) => [nodeId, 1])),
    ring: description(nodeIds),
  };
}

export const VALUE = { count: 2, sum: 7, min: 3, max: 4 };
export { EMPTY_VALUE };
