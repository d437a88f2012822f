import type { Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { asTallyringError } from '../../proto/errors.js';
import type { LocalRecords } from '../storage/store.js';

const PERSIST_EVERY_MS = 1_000;
const PREFIX = Buffer.from('peer/');

export interface PeerMemoryParts {
  local: LocalRecords;
  timers: Timers;
  logger: Logger;
}

/** Stores of one node that are remembered; those that were heard of first are forgotten first. */
const MOST_STORES = 16;

/**
 * The highest batch numbers that this node heard of its peers' stores, on disk at most a second old: what a
 * restarted peer asks for to find out whether its store was rolled back (DESIGN §7).
 */
export class PeerMemory {
  readonly #parts: PeerMemoryParts;
  /** node → store → highest batch. News of a former store may come late, so all are kept: nobody can order them. */
  readonly #remembered = new Map<string, Map<string, number>>();
  readonly #changed = new Set<string>();
  #stopped = false;

  constructor(parts: PeerMemoryParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const to = Buffer.concat([PREFIX, Buffer.from([0xff])]);
    for (const { key, value } of await this.#parts.local.page({ from: PREFIX, to }, 10_000)) {
      const nodeId = key.toString('utf8', PREFIX.length);
      const stores = decode(value);
      if (stores !== undefined) this.#remembered.set(nodeId, stores);
      else this.#parts.logger.warn({ nodeId }, 'what this peer said is unreadable on disk: forgotten');
    }
  }

  heard(nodeId: string, storeId: string, batch: number): void {
    let stores = this.#remembered.get(nodeId);
    if (stores === undefined) {
      stores = new Map();
      this.#remembered.set(nodeId, stores);
    }
    const known = stores.get(storeId);
    if (known !== undefined && batch <= known) return;
    stores.set(storeId, batch);
    const [oldest] = stores.keys();
    if (stores.size > MOST_STORES) stores.delete(oldest!);
    this.#changed.add(nodeId);
  }

  /** The highest batch heard of this store; 0 for none. */
  batchOf(nodeId: string, storeId: string): number {
    return this.#remembered.get(nodeId)?.get(storeId) ?? 0;
  }

  /** All stores of a node that were heard of. */
  storesOf(nodeId: string): string[] {
    return [...(this.#remembered.get(nodeId)?.keys() ?? [])];
  }

  start(): void {
    this.#parts.timers.after(PERSIST_EVERY_MS, () => {
      if (this.#stopped) return;
      void this.#persist().finally(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #persist(): Promise<void> {
    if (this.#changed.size === 0) return;
    const writes = [...this.#changed].map((nodeId) => ({
      key: Buffer.concat([PREFIX, Buffer.from(nodeId)]),
      value: Buffer.from(JSON.stringify([...this.#remembered.get(nodeId)!])),
    }));
    this.#changed.clear();
    try {
      await this.#parts.local.write(writes, { sync: true });
    } catch (error) {
      this.#parts.logger.warn({}, `what peers said was not kept: ${asTallyringError(error).message}`);
    }
  }
}

/** Undefined for what is no such record: local records have no checksum, and one bad bit must not stop a node. */
function decode(value: Buffer): Map<string, number> | undefined {
  try {
    const stores = JSON.parse(value.toString()) as unknown;
    if (!Array.isArray(stores)) return undefined;
    const isStore = ([storeId, batch]: unknown[]) =>
      typeof storeId === 'string' && Number.isSafeInteger(batch);
    return stores.every(isStore) ? new Map(stores as [string, number][]) : undefined;
  } catch {
    return undefined;
  }
}
