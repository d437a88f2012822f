import type { ClientTransport, NodeConnection } from '../../../client/transport.js';
import { type CellValue, EMPTY_VALUE, foldValues } from '../../../counter/shard.js';
import { GRANULARITIES, windowIndex, windowMs } from '../../../counter/window.js';
import { columnsOf } from '../../../node/queries.js';
import { requiredOf, requirementOf } from '../../../node/quorum/consistency.js';
import { decodeBatch } from '../../../proto/batch.js';
import type {
  CallOptions,
  CellQuery,
  ClientProducerKind,
  ClusterDescription,
  FlushReply,
  MintRequest,
  Outcome,
  ProducerShard,
} from '../../../proto/calls.js';
import {
  type CellAddress,
  decodeEntryKey,
  decodeShard,
  isIntact,
  KIND,
  kindOfEntry,
  PRODUCER_ID_BYTES,
} from '../../../proto/entry.js';
import { errorToData, TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import type { VirtualTime } from '../../simulation/virtual-time.js';
import {
  columnEntriesOf,
  type FakeNode,
  type Stored,
  shardsOf,
  store,
  storeColumn,
  totalsOf,
} from './fake-replicas.js';

/** What befalls one flush. `lost…` never answers; `reset…` breaks the connection; `partial` fails some entries. */
export type Fault =
  | 'none'
  | 'lostBefore'
  | 'lostAfter'
  | 'resetBefore'
  | 'resetAfter'
  | 'partial'
  | 'stale'
  | 'late';

const DELAY_MS = 1;

/** Three replicas of everything, that merge by sequence, behind a transport with faults. */
export class FakeCluster implements ClientTransport {
  readonly nodes: FakeNode[] = [];
  readonly mintedKinds: ClientProducerKind[] = [];
  /** Cells that one answer holds. */
  cellsPerAnswer = Number.POSITIVE_INFINITY;
  readonly flushLevels: ConsistencyLevel[] = [];
  description: Omit<ClusterDescription, 'nodeId'>;
  faultOf: (node: FakeNode) => Fault = () => 'none';
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #minted = new Set<string>();
  /** (entry, sequence) → state must be a function. */
  readonly #written = new Map<string, string>();
  #mints = 0;

  constructor(time: VirtualTime, random: SeededRandom) {
    this.#time = time;
    this.#random = random;
    for (const [i, nodeId] of ['n1', 'n2', 'n3'].entries()) {
      const address = `127.0.0.1:${9001 + i}`;
      this.nodes.push({ nodeId, address, state: 'up', entries: new Map(), columns: new Map(), calls: {} });
    }
    this.description = {
      cluster: 'fake',
      ringEpoch: 1,
      vnodes: 8,
      replication: { dc1: 3 },
      rollups: ['total', 'day', 'hour'],
      maxBatchBytes: 4_096,
      nodes: this.nodes.map(({ nodeId }, i) => ({
        nodeId,
        host: '127.0.0.1',
        port: 9001 + i,
        datacenter: 'dc1',
        rack: 'r1',
        up: true,
        status: 'normal',
      })),
    };
  }

  get mints(): number {
    return this.#mints;
  }

  connect(address: string): NodeConnection {
    const node = this.nodes.find((each) => each.address === address);
    return {
      address,
      close() {},
      describe: (options) =>
        this.#call(node, 'describe', options, () => ({ ...this.description, nodeId: node!.nodeId })),
      mintProducer: (request, options) =>
        this.#call(node, 'mintProducer', options, () => this.#mint(request)),
      flush: (request, options) => {
        this.flushLevels.push(request.level);
        const fault = node === undefined ? 'none' : this.faultOf(node);
        return this.#call(
          node,
          'flush',
          options,
          () => this.#flush(request.batch, request.level, request.ringEpoch, fault),
          fault,
        );
      },
      ...NO_REGISTERS,
      increment: () => Promise.reject(new TallyringError('INTERNAL', 'the SDK makes no plain increments')),
      get: (queries, level, options) =>
        this.#call(node, 'get', options, () =>
          queries.map((query) => this.#answer(level, (live) => this.value(query, live))),
        ),
      shards: (cells, level, options) =>
        this.#call(node, 'shards', options, () =>
          cells
            .slice(0, this.cellsPerAnswer)
            .map((cell) => this.#answer(level, (live) => this.shards(cell, live))),
        ),
      columns: (keys, level, options) =>
        this.#call(node, 'columns', options, () =>
          keys
            .slice(0, this.cellsPerAnswer)
            .map((key) => this.#answer(level, (live) => columnsOf(columnEntriesOf(key, live)))),
        ),
      stats: (queries, _level, options) =>
        this.#call(node, 'stats', options, () =>
          queries.map(({ startMs, endMs, granularity }) => ({
            ok: { startMs, endMs, granularity, value: { ...EMPTY_VALUE }, series: [] },
          })),
        ),
    };
  }

  /** Runs a call under virtual time: refused, stalled, lost or answered. */
  #call<T>(
    node: FakeNode | undefined,
    name: string,
    { timeoutMs }: CallOptions,
    work: () => T,
    fault: Fault = 'none',
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const after = (ms: number, callback: () => void) => this.#time.after(ms, callback);
      if (node === undefined || node.state === 'refusing') {
        const refused = new TallyringError('UNAVAILABLE', 'connection refused', { mayHaveApplied: false });
        after(0, () => reject(refused));
        return;
      }
      node.calls[name] = (node.calls[name] ?? 0) + 1;
      const code = name === 'flush' ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
      after(timeoutMs, () => reject(new TallyringError(code, `${node.nodeId} did not answer in time`)));
      if (node.state === 'stalled' || fault === 'lostBefore') return;
      const reset = () =>
        reject(new TallyringError('UNAVAILABLE', 'connection reset', { mayHaveApplied: true }));
      after(DELAY_MS + this.#random.next() * 3, () => {
        if (fault === 'resetBefore' || node.state === 'refusing') return reset();
        if (fault === 'late') return void after(timeoutMs, () => ignoringErrors(work));
        let answer: T;
        try {
          answer = work();
        } catch (error) {
          return reject(error);
        }
        if (fault === 'lostAfter') return;
        if (fault === 'resetAfter') return reset();
        after(DELAY_MS, () => resolve(answer));
      });
    });
  }

  /** UUIDv7-like: the mints' number in the time part, so that each is greater than all before. */
  #mint({ above, kind = 'sdk' }: MintRequest): Buffer {
    this.mintedKinds.push(kind);
    const id = Buffer.alloc(PRODUCER_ID_BYTES);
    id.writeUIntBE(++this.#mints, 0, 6);
    this.#random.bytes(8).copy(id, 8);
    if (above !== undefined && id.compare(above) <= 0) throw new Error('minted an id that is not above');
    this.#minted.add(id.toString('hex'));
    return id;
  }

  #required(level: ConsistencyLevel): number {
    return requiredOf(requirementOf(level, this.description.replication, 'dc1'));
  }

  #live(): FakeNode[] {
    return this.nodes.filter((node) => node.state === 'up');
  }

  #flush(batch: Buffer, level: ConsistencyLevel, ringEpoch: number, fault: Fault): FlushReply {
    if (batch.length > this.description.maxBatchBytes) throw new Error('batch over the limit');
    if (ringEpoch < this.description.ringEpoch || fault === 'stale') {
      throw new TallyringError('STALE_RING', 'older ring');
    }
    const entries = decodeBatch(batch);
    const required = this.#required(level);
    const live = this.#live();
    const all = entries.map((_, index) => index);
    if (live.length < required) {
      const error = new TallyringError('UNAVAILABLE', 'too few replicas', {
        required,
        received: 0,
        live: live.length,
      });
      return { failures: [{ indexes: all, error: errorToData(error) }] };
    }
    const failed: number[] = [];
    for (const [index, entry] of entries.entries()) {
      if (!isIntact(entry)) throw new Error('an entry is not intact');
      const name = entry.key.toString('hex');
      const isFailing = fault === 'partial' && this.#random.chance(0.4);
      if (isFailing) failed.push(index);
      // What fails has reached fewer replicas than it needs; none of them perhaps.
      const reached = live.slice(0, isFailing ? this.#random.below(required) : live.length);
      if (kindOfEntry(entry.key) === KIND.column) {
        for (const node of reached) storeColumn(node, entry);
        continue;
      }
      const address = decodeEntryKey(entry.key);
      const stored = { address, shard: decodeShard(entry.value), bytes: entry.value.toString('hex') };
      this.#checkWriter(name, stored);
      for (const node of reached) store(node, name, stored);
    }
    if (failed.length === 0) return { failures: [] };
    const error = new TallyringError('WRITE_TIMEOUT', 'too few answers', {
      required,
      received: 1,
      live: live.length,
    });
    return { failures: [{ indexes: failed, error: errorToData(error) }] };
  }

  #checkWriter(name: string, { shard, bytes, address }: Stored): void {
    if (!this.#minted.has(address.producerId)) throw new Error('an id that was never minted');
    const key = `${name} ${shard.sequence}`;
    const before = this.#written.get(key);
    if (before !== undefined && before !== bytes) throw new Error('one (entry, sequence) with two states');
    this.#written.set(key, bytes);
  }

  /** What the live replicas say, unless they are too few for the level. */
  #answer<T>(level: ConsistencyLevel, work: (live: FakeNode[]) => T): Outcome<T> {
    const live = this.#live();
    const required = this.#required(level);
    if (live.length >= required) return { ok: work(live) };
    const facts = { required, received: 0, live: live.length };
    return { error: errorToData(new TallyringError('UNAVAILABLE', 'too few replicas', facts)) };
  }

  /** What these replicas say together. */
  value(query: CellQuery, nodes: readonly FakeNode[] = this.nodes): CellValue {
    const { key, eventType, granularity = 'total', timestampMs = 0 } = query;
    const window = windowIndex(granularity, timestampMs);
    return foldValues(this.shards({ key, eventType, granularity, window }, nodes))!;
  }

  /** The shards of a cell, as these replicas say together. */
  shards(cell: CellAddress, nodes: readonly FakeNode[] = this.nodes): ProducerShard[] {
    return shardsOf(cell, nodes);
  }

  /** Sum of the totals of all keys, as these replicas say together: any two know what QUORUM acknowledged. */
  grandTotal(nodes: readonly FakeNode[] = this.nodes.slice(1)): number {
    return Number(foldValues(totalsOf(nodes))!.sum);
  }
}

/** Nobody hears what a late call answers. */
function ignoringErrors(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof TallyringError)) throw error;
  }
}

/** The windows that an event falls into. */
export function windowsOf(
  timestampMs: number,
): { granularity: (typeof GRANULARITIES)[number]; timestampMs: number }[] {
  return GRANULARITIES.filter((each) => windowMs(each) >= 3_600_000).map((granularity) => ({
    granularity,
    timestampMs,
  }));
}

const refused = () => Promise.reject(new TallyringError('INTERNAL', 'this cluster has no registers'));
const NO_REGISTERS = { acquireRegister: refused, writeRegister: refused, readRegister: refused };
