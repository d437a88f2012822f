import { isIntact, sealValue } from '../../proto/entry.js';
import { prefixEnd } from '../storage/keyspace.js';
import type { LocalRecords, LocalWrite } from '../storage/store.js';

const PROMISE = Buffer.from('register/promise/');
const STORE = Buffer.from('register/store/');
const PAGE = 1_000;

interface KnownStore {
  storeId: string;
  number: number;
}

/**
 * What this node alone must remember for registers: what it promised, and which store of each node is the
 * newest that it knows of. Kept among the store's own records, each with a checksum.
 */
export class RegisterMemory {
  readonly #self: string;
  readonly #promised = new Map<string, number>();
  readonly #stores = new Map<string, KnownStore>();
  /** Records that were unreadable. */
  readonly #bad: Buffer[] = [];

  private constructor(self: string) {
    this.#self = self;
  }

  static async load(local: LocalRecords, self: string): Promise<RegisterMemory> {
    const memory = new RegisterMemory(self);
    for await (const { key, name, fields } of recordsOf(local, PROMISE)) {
      if (fields === undefined) memory.#bad.push(key);
      else memory.#promised.set(name, fields.epoch as number);
    }
    for await (const { key, name, fields } of recordsOf(local, STORE)) {
      if (fields === undefined) memory.#bad.push(key);
      else memory.#stores.set(name, fields as unknown as KnownStore);
    }
    return memory;
  }

  /** Why this store may lack what it promised: to forget a promise is to lose the store (DESIGN §10). */
  get doubts(): string[] {
    return this.#bad.length === 0 ? [] : [`${this.#bad.length} promises of registers are unreadable`];
  }

  /** How many registers it knows. */
  get size(): number {
    return this.#promised.size;
  }

  knows(name: string): boolean {
    return this.#promised.has(name);
  }

  promisedOf(name: string): number {
    return this.#promised.get(name) ?? 0;
  }

  /** Number of this node's own store. */
  get number(): number {
    return this.numberOf(this.#self);
  }

  /** The newest store number known of a node; 1 is every node's first. */
  numberOf(nodeId: string): number {
    return this.#stores.get(nodeId)?.number ?? 1;
  }

  storeOf(nodeId: string): KnownStore | undefined {
    return this.#stores.get(nodeId);
  }

  /** A promise: known at once; durable with the returned writes. It never falls. */
  promise(name: string, epoch: number): LocalWrite[] {
    this.#promised.set(name, Math.max(epoch, this.promisedOf(name)));
    return [write(PROMISE, name, { epoch: this.promisedOf(name) })];
  }

  /** A node has a new store. A lower number than the known one changes nothing. */
  note({ nodeId, storeId, number }: KnownStore & { nodeId: string }): LocalWrite[] {
    if (number <= this.numberOf(nodeId)) return [];
    this.#stores.set(nodeId, { storeId, number });
    return [write(STORE, nodeId, { storeId, number })];
  }

  /** This node's own re-entry: its store's number, and what it promised thereby. What was unreadable goes. */
  reentered(own: KnownStore, epochs: ReadonlyMap<string, number>): LocalWrite[] {
    const forgotten = this.#bad.splice(0).map((key) => ({ key, value: undefined }));
    const promises = [...epochs].flatMap(([name, epoch]) => this.promise(name, epoch));
    return [...forgotten, ...promises, ...this.note({ nodeId: this.#self, ...own })];
  }

  /** All names that it knows, in order. */
  names(): string[] {
    return [...this.#promised.keys()].sort();
  }
}

function write(prefix: Buffer, name: string, fields: object): LocalWrite {
  const key = Buffer.concat([prefix, Buffer.from(name)]);
  return { key, value: sealValue(key, Buffer.from(JSON.stringify(fields))) };
}

async function* recordsOf(local: LocalRecords, prefix: Buffer) {
  let from = prefix;
  for (;;) {
    const page = await local.page({ from, to: prefixEnd(prefix) }, PAGE);
    for (const { key, value } of page) {
      const name = key.toString('utf8', prefix.length);
      const intact = isIntact({ key, value });
      const text = intact ? value.toString('utf8', 0, value.length - 8) : '';
      yield { key, name, fields: intact ? (JSON.parse(text) as Record<string, unknown>) : undefined };
    }
    if (page.length < PAGE) return;
    from = Buffer.concat([page.at(-1)!.key, Buffer.from([0])]);
  }
}
