import { Packr } from 'msgpackr';
import { type Checkpoint, decodeCheckpoint } from '../../../client/log-driven/checkpoint.js';
import { asTallyringError } from '../../../proto/errors.js';
import type { RegisterRecord } from '../../../proto/register.js';
import { checkpointName } from '../../../services/processing/instance.js';
import type { Arrival, Reply } from '../network.js';
import { unframe } from '../rpc.js';

/** What a processing instance has just learned, and nobody acted on it yet; or what is about to be done for it. */
export const STEPS = [
  'acquired',
  'looked back',
  'read the batch again',
  'read its shards',
  'completed a batch in part',
  'completed a batch',
  'intended',
  'flushed in part',
  'committed',
  'kept dead letters',
  'gave back',
  'acquisition arrives',
  'intent arrives',
  'flush arrives',
] as const;
export type StepName = (typeof STEPS)[number];

export interface Step {
  name: StepName;
  /** The processing instance. */
  process: string;
  /** Who answered it, or is asked. */
  other: string;
}

/** What a quorum held of a partition's checkpoint, as a processing instance was told. */
export interface HeldCheckpoint {
  partition: number;
  process: string;
  how: 'acquired' | 'written';
  epoch: number;
  write: number;
  checkpoint: Checkpoint;
}

interface Owned {
  committed: number;
  /** Of the batch that it found pending, until it is committed. */
  pending: number | undefined;
  end: number | undefined;
}

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

/** Reads from what the network delivers how far each processing instance is. */
export class Steps {
  readonly #partitions: ReadonlyMap<string, number>;
  readonly #owned = new Map<string, Owned>();
  readonly #readShards = new Set<string>();
  readonly #onHeld: (held: HeldCheckpoint) => void;
  readonly #onFenced: (process: string) => void;

  constructor(partitions: number, told: { held(held: HeldCheckpoint): void; fenced(process: string): void }) {
    const names = Array.from({ length: partitions }, (_, i) => checkpointName('simulated', i));
    this.#partitions = new Map(names.map((name, partition) => [name, partition]));
    this.#onHeld = told.held;
    this.#onFenced = told.fenced;
  }

  /** The step that a request is about to do. */
  before({ method, from, to, request }: Arrival): Step | undefined {
    if (method === 'client.flush') return { name: 'flush arrives', process: from, other: to };
    if (method !== 'client.writeRegister' && method !== 'client.acquireRegister') return undefined;
    const [name, record] = packr.unpack(request) as [string, RegisterRecord];
    const partition = this.#partitions.get(name);
    if (partition === undefined) return undefined;
    if (method === 'client.acquireRegister') return { name: 'acquisition arrives', process: from, other: to };
    if (record.value === null) return undefined;
    const { end } = decodeCheckpoint(record.value);
    const isNew = end !== undefined && end !== this.#owned.get(`${from} ${partition}`)?.end;
    return isNew ? { name: 'intent arrives', process: from, other: to } : undefined;
  }

  /** The step that a reply tells of. */
  after({ method, from, to, request, reply }: Reply): Step | undefined {
    const name = this.#nameOf(method, to, { request, reply });
    return name && { name, process: to, other: from };
  }

  #nameOf(method: string, process: string, call: { request: Buffer; reply: Buffer }): StepName | undefined {
    if (method === 'client.acquireRegister' || method === 'client.writeRegister')
      return this.#register(method, process, call);
    if (method === 'client.flush') {
      return this.#readShards.has(process) ? 'completed a batch in part' : 'flushed in part';
    }
    if (method === 'client.shards') {
      this.#readShards.add(process);
      return 'read its shards';
    }
    if (method === 'log.put') return 'kept dead letters';
    return method === 'log.read' ? this.#read(process, call.request) : undefined;
  }

  #read(process: string, request: Buffer): StepName | undefined {
    const [partition, from] = packr.unpack(request) as [number, number];
    const owned = this.#owned.get(`${process} ${partition}`);
    if (owned === undefined) return undefined;
    if (from < owned.committed) return 'looked back';
    return owned.pending !== undefined && from < owned.pending ? 'read the batch again' : undefined;
  }

  #register(
    method: string,
    process: string,
    { request, reply }: { request: Buffer; reply: Buffer },
  ): StepName | undefined {
    const [name, written] = packr.unpack(request) as [string, RegisterRecord];
    const partition = this.#partitions.get(name);
    if (partition === undefined) return undefined;
    let answer: RegisterRecord | null;
    try {
      [answer] = packr.unpack(unframe(reply)) as [RegisterRecord | null];
    } catch (error) {
      if (asTallyringError(error).code === 'FENCED') this.#onFenced(process);
      return undefined;
    }
    const how = method === 'client.acquireRegister' ? 'acquired' : 'written';
    const { epoch, write, value } = how === 'acquired' ? answer! : written;
    if (value === null) return 'acquired';
    const checkpoint = decodeCheckpoint(value);
    this.#onHeld({ partition, process, how, epoch, write, checkpoint });
    return this.#holds(`${process} ${partition}`, how, checkpoint);
  }

  #holds(
    key: string,
    how: HeldCheckpoint['how'],
    { committed, end, owner }: Checkpoint,
  ): StepName | undefined {
    const before = this.#owned.get(key);
    const process = key.split(' ')[0]!;
    if (how === 'acquired' || before === undefined) {
      this.#owned.set(key, { committed, pending: end, end });
      this.#readShards.delete(process);
      return 'acquired';
    }
    const isCompleted = before.pending !== undefined && committed >= before.pending;
    this.#owned.set(key, { committed, pending: isCompleted ? undefined : before.pending, end });
    if (isCompleted) this.#readShards.delete(process);
    if (owner === '') return 'gave back';
    if (isCompleted) return 'completed a batch';
    if (end !== undefined && end !== before.end) return 'intended';
    return committed > before.committed ? 'committed' : undefined;
  }
}
