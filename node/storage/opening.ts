import type { Engine, EngineRecord, EngineWrite } from './engine.js';
import { EngineStore } from './engine-store.js';
import {
  DAMAGED_PREFIX,
  DOUBT_PREFIX,
  EMPTY,
  keyAfter,
  MARKER_PREFIX,
  markerKey,
  prefixEnd,
  STATE_KEY,
} from './keyspace.js';
import { judgeMarkers, MarkerTrail } from './markers.js';
import type { OpenedStore } from './store.js';
import type { StoreParts } from './store-parts.js';
import { doubtKey, parseState, type StoreState, stateWrite, withFormer } from './store-state.js';

const SCAN_PAGE = 10_000;

/** Writes a new store's first records: its state, and the marker of batch 0. Durable. */
export async function createOver(engine: Engine, storeId: string): Promise<void> {
  const state = stateWrite({ storeId, formerIds: [], whole: false, doubts: [] });
  await engine.write([state, { key: markerKey(0), value: EMPTY }], true);
}

/** Whether an engine holds nothing but what `createOver` writes: a creation that was interrupted. */
export async function isUntouched(engine: Engine): Promise<boolean> {
  const records = await engine.scan(EMPTY, Buffer.from([0xff]), { limit: 3, fillCache: false });
  return records.every(({ key }) => key.equals(STATE_KEY) || key.equals(markerKey(0)));
}

/**
 * Opens the store that an engine holds, and judges whether it may lack what it acknowledged. What it finds
 * stays noted on disk until the store is declared whole, however often the node is restarted before.
 */
export async function openOver(
  engine: Engine,
  parts: StoreParts,
  identity: { storeId: string; doubts: readonly string[]; renew(): Promise<string> },
): Promise<OpenedStore> {
  const markers = judgeMarkers(await keysOf(engine, MARKER_PREFIX));
  const known = await keysOf(engine, DOUBT_PREFIX);
  const damaged = await keysOf(engine, DAMAGED_PREFIX);
  const stored = parseState((await engine.getMany([STATE_KEY]))[0]);
  const found = [...identity.doubts, ...(markers?.gaps ?? ['no batch marker was found'])];
  if (stored === undefined) found.push("the store's state record is missing or unreadable");
  else if (stored.storeId !== identity.storeId) {
    found.push(`the data are of store ${stored.storeId}, the identity file says ${identity.storeId}`);
  }
  const doubts = new Set([...known.map((key) => key.subarray(DOUBT_PREFIX.length).toString()), ...found]);
  const state: StoreState = {
    storeId: identity.storeId,
    formerIds: formerIdsOf(stored, identity.storeId),
    whole: stored?.whole === true && stored.storeId === identity.storeId,
    doubts: [...doubts],
  };
  const newest = markers?.newest ?? 0;
  if (found.length > 0) await noteDoubts(engine, { state, found, newest });
  const oldest = found.length > 0 ? newest : (markers?.oldest ?? newest);
  const trail = new MarkerTrail({ oldest, newest, generationBytes: parts.limits.writeBufferBytes });
  const store = new EngineStore(engine, parts, {
    state,
    renewIdentity: identity.renew,
    trail,
    damagedRows: damaged.map((key) => Buffer.from(key.subarray(DAMAGED_PREFIX.length))),
  });
  return { store, opening: { created: !state.whole && doubts.size === 0, doubts: [...doubts] } };
}

/** A renewal that was interrupted has left the former storeId as the state's own. */
function formerIdsOf(stored: Omit<StoreState, 'doubts'> | undefined, storeId: string): string[] {
  if (stored === undefined) return [];
  return stored.storeId === storeId ? stored.formerIds : withFormer(stored.formerIds, stored.storeId);
}

/**
 * Notes what was found, and drops the markers around the gap: they have said what they had to say. In one
 * batch, so that if this one gets lost, the gap is found again.
 */
async function noteDoubts(
  engine: Engine,
  facts: { state: StoreState; found: readonly string[]; newest: number },
): Promise<void> {
  const writes: EngineWrite[] = facts.found.map((text) => ({ key: doubtKey(text), value: EMPTY }));
  writes.push(stateWrite(facts.state));
  const stays = markerKey(facts.newest);
  writes.push({ key: stays, value: EMPTY });
  for (const key of await keysOf(engine, MARKER_PREFIX)) {
    if (!key.equals(stays)) writes.push({ key, value: undefined });
  }
  await engine.write(writes, true);
}

/** All keys with a prefix, in order. */
async function keysOf(engine: Engine, prefix: Buffer): Promise<Buffer[]> {
  const keys: Buffer[] = [];
  const to = prefixEnd(prefix);
  let from = prefix;
  let records: EngineRecord[];
  do {
    records = await engine.scan(from, to, { limit: SCAN_PAGE, fillCache: false });
    for (const { key } of records) keys.push(key);
    if (records.length > 0) from = keyAfter(records[records.length - 1]!.key);
  } while (records.length === SCAN_PAGE);
  return keys;
}
