import type { ClientTransport } from '../../client/transport.js';
import type { OpenedStore, Store } from '../../node/storage/store.js';
import { decodeBatch, encodeBatch } from '../../proto/entry.js';
import { decodeRequest, encodeBody } from '../../proto/peer-message.js';

/**
 * Bugs that are planted on purpose, in the parts that a run injects: the checkers must catch each. They show
 * that a green run means something.
 */
export interface Plants {
  /** Wraps what a node's store opens as. */
  openStore?: (opened: OpenedStore) => OpenedStore;
  /** Every node is told that what its store lost is not missed. */
  acceptLoss?: boolean;
  /** Changes requests on their way. */
  tamper?: (method: string, payload: Buffer) => Buffer;
  /** Wraps how SDK clients reach nodes. */
  clientTransport?: (transport: ClientTransport) => ClientTransport;
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

/** A replica whose store was lost takes itself for whole. */
export const blindToLoss: Plants = { acceptLoss: true };

/** A replica acknowledges a merge and leaves out its last entry. */
export const dropsShard: Plants = {
  tamper(method, payload) {
    if (method !== 'peer.merge') return payload;
    const request = decodeRequest('merge', payload);
    if (request.kind !== 'merge') return payload;
    const entries = decodeBatch(request.body.batch);
    return encodeBody({ ...request.body, batch: encodeBatch(entries.slice(0, -1)) });
  },
};

/** Client processes go on under the producerId of another process. */
export function reusedProducerId(): Plants {
  let first: Buffer | undefined;
  return {
    clientTransport: (transport) => ({
      connect(address) {
        const connection = transport.connect(address);
        return withMembers(connection, {
          async mintProducer(above, options) {
            const minted = await connection.mintProducer(above, options);
            first ??= minted;
            return first;
          },
        });
      },
    }),
  };
}
