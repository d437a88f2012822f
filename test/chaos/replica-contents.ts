import { connectOperator } from '../../client/transport/grpc.js';
import { GrpcPeers } from '../../node/transport/peers.js';
import { silentLogger } from '../../ports/logger.js';
import { realClock, realRandom, realTimers } from '../../ports/real.js';
import { decodeBatch } from '../../proto/batch.js';
import { decodeEntryKey, type Entry } from '../../proto/entry.js';
import type { Nodes } from './nodes.js';

const PAGE_ENTRIES = 2_000;
const CALL_MS = 3_000;
/** The first and so far only epoch of a ring. */
const EPOCH = 1;

/**
 * What every replica holds of the run's own keys, read from each node alone while it runs: the keys as an
 * operator reads them, the values as another node does. Rejects when a node does not answer.
 */
export async function replicaContents(nodes: Nodes, keyPrefix: string): Promise<Map<string, Entry[]>> {
  const stores = new Map<string, Entry[]>();
  for (const nodeId of nodes.ids) {
    const keys = await keysOf(nodes.addressOf(nodeId), keyPrefix);
    stores.set(nodeId, await valuesOf(nodes, nodeId, keys));
  }
  return stores;
}

/** Of the entries that a node holds. */
export async function keysOf(address: string, keyPrefix: string): Promise<Buffer[]> {
  const operator = connectOperator(address);
  try {
    const keys: Buffer[] = [];
    let after: Buffer | undefined;
    for (;;) {
      const page = await operator.scanLocal(after, PAGE_ENTRIES, { timeoutMs: CALL_MS });
      keys.push(...page.keys.filter((key) => decodeEntryKey(key).key.startsWith(keyPrefix)));
      after = page.keys.at(-1);
      if (!page.more || after === undefined) return keys;
    }
  } finally {
    operator.close();
  }
}

/** The entries of these keys, as far as a node has them. */
export async function valuesOf(
  { config, ids }: Nodes,
  nodeId: string,
  keys: readonly Buffer[],
): Promise<Entry[]> {
  const asked = ids.find((id) => id !== nodeId)!;
  const peers = new GrpcPeers({
    config,
    nodeId: asked,
    clock: realClock,
    timers: realTimers,
    random: realRandom,
    logger: silentLogger,
  });
  try {
    const entries: Entry[] = [];
    for (let at = 0; at < keys.length; ) {
      const page = keys.slice(at, at + PAGE_ENTRIES);
      const { batch, looked } = await peers.request(nodeId, 'fetch', { epoch: EPOCH, keys: page }, CALL_MS);
      entries.push(...decodeBatch(batch));
      at += Math.max(1, looked);
    }
    return entries;
  } finally {
    await peers.close();
  }
}
