import type { Engine } from './engine.js';
import { prefixEnd, RECORDS_PREFIX } from './keyspace.js';
import type { KeyRange, LocalRecords, LocalWrite } from './store.js';

/** How the records reach the engine: writes through the store's queue, reads under its failure. */
export interface RecordsAccess {
  write(writes: readonly LocalWrite[], sync: boolean): Promise<unknown>;
  read<T>(read: (engine: Engine) => Promise<T>): Promise<T>;
}

const END = prefixEnd(RECORDS_PREFIX);

export class RecordsOverEngine implements LocalRecords {
  readonly #access: RecordsAccess;

  constructor(access: RecordsAccess) {
    this.#access = access;
  }

  async write(writes: readonly LocalWrite[], options: { sync: boolean }): Promise<void> {
    if (writes.length === 0) return;
    await this.#access.write(
      writes.map(({ key, value }) => ({ key: inside(key), value })),
      options.sync,
    );
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    return (await this.getMany([key]))[0];
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#access.read((engine) => engine.getMany(keys.map(inside)));
  }

  async page(range: KeyRange, limit: number): Promise<{ key: Buffer; value: Buffer }[]> {
    const to = inside(range.to);
    const records = await this.#access.read((engine) =>
      engine.scan(inside(range.from), to.compare(END) < 0 ? to : END, { limit, fillCache: false }),
    );
    return records.map(({ key, value }) => ({ key: key.subarray(RECORDS_PREFIX.length), value }));
  }
}

function inside(key: Buffer): Buffer {
  return Buffer.concat([RECORDS_PREFIX, key]);
}
