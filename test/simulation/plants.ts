import type { OpenedStore, Store } from '../../node/storage/store.js';

/**
 * A bug that is planted in the parts that a run injects, for the shrinker's test to have something to cut down.
 * Those in the product's own source are in mutants/.
 */
export interface Plants {
  /** Wraps what a node's store opens as. */
  openStore?: (opened: OpenedStore) => OpenedStore;
}

/** An object with some members replaced; the others work on the original. */
function withMembers<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withStore(wrap: (store: Store) => Partial<Store>): Plants {
  return {
    openStore: (opened) => ({ ...opened, store: withMembers(opened.store, wrap(opened.store)) }),
  };
}

/** A replica says "durable" before it is. */
export const ackBeforeSync: Plants = withStore((store) => ({
  async merge(entries) {
    store.merge(entries).catch(() => {});
    return { changed: entries.length, batch: store.syncedBatch };
  },
}));
