import type { Store } from '../../node/storage/store.js';
import type { Entry } from '../../proto/entry.js';

/** The merges of a store that are not answered yet. */
export class PendingMerges {
  bytes = 0;
  /** The largest single one: an idle store takes any. */
  largest = 0;
}

/** A store whose merges are shown to somebody first, and counted while they wait. */
export function watchMerges(
  store: Store,
  pending: PendingMerges,
  show: (entries: readonly Entry[]) => void,
): Store {
  const merge: Store['merge'] = async (entries, options) => {
    show(entries);
    const bytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
    pending.bytes += bytes;
    pending.largest = Math.max(pending.largest, bytes);
    try {
      return await store.merge(entries, options);
    } finally {
      pending.bytes -= bytes;
    }
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'merge') return merge;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
