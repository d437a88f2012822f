import type { Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { asTallyringError } from '../../proto/errors.js';
import type { LocalRecords } from '../storage/store.js';
import { withFormer } from '../storage/store-state.js';

const PERSIST_EVERY_MS = 1_000;
const PREFIX = Buffer.from('peer/');

export interface Remembered {
  storeId: string;
  /** The highest synced batch heard of this store. */
  batch: number;
}

export interface PeerMemoryParts {
  local: LocalRecords;
  timers: Timers;
  logger: Logger;
}

/**
 * The highest batch numbers that this node heard of its peers' stores, on disk at most a second old: what a
 * restarted peer asks for to find out whether its store was rolled back (DESIGN §7).
 */
export class PeerMemory {
  readonly #parts: PeerMemoryParts;
  readonly #remembered = new Map<string, Remembered>();
  /** By node: stores of which it was heard before; late news of them changes nothing. */
  readonly #former = new Map<string, string[]>();
  readonly #changed = new Set<string>();
  #stopped = false;

  constructor(parts: PeerMemoryParts) {
    this.#parts = parts;
  }

  async load(): Promise<void> {
    const to = Buffer.concat([PREFIX, Buffer.from([0xff])]);
    for (const { key, value } of await this.#parts.local.page({ from: PREFIX, to }, 10_000)) {
      const nodeId = key.toString('utf8', PREFIX.length);
      const remembered = decode(value);
      if (remembered !== undefined) {
        const { former, ...newest } = remembered;
        this.#remembered.set(nodeId, newest);
        this.#former.set(nodeId, former);
      } else this.#parts.logger.warn({ nodeId }, 'what this peer said is unreadable on disk: forgotten');
    }
  }

  heard(nodeId: string, storeId: string, batch: number): void {
    const known = this.#remembered.get(nodeId);
    const former = this.#former.get(nodeId) ?? [];
    if (former.includes(storeId)) return;
    if (known !== undefined && known.storeId === storeId) {
      if (batch <= known.batch) return;
      known.batch = batch;
    } else {
      if (known !== undefined) this.#former.set(nodeId, withFormer(former, known.storeId));
      this.#remembered.set(nodeId, { storeId, batch });
    }
    this.#changed.add(nodeId);
  }

  of(nodeId: string): Remembered | undefined {
    return this.#remembered.get(nodeId);
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
      value: Buffer.from(
        JSON.stringify({ ...this.#remembered.get(nodeId), former: this.#former.get(nodeId) }),
      ),
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
function decode(value: Buffer): (Remembered & { former: string[] }) | undefined {
  try {
    const { storeId, batch, former = [] } = JSON.parse(value.toString()) as Record<string, unknown>;
    if (typeof storeId !== 'string' || !Number.isSafeInteger(batch) || !Array.isArray(former))
      return undefined;
    return { storeId, batch: batch as number, former: former.map(String) };
  } catch {
    return undefined;
  }
}
