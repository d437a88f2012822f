import type { EngineWrite } from './engine.js';
import { DOUBT_PREFIX, STATE_KEY } from './keyspace.js';

/** Peers forget a former store as soon as they hear of the next. */
const MOST_FORMER_IDS = 16;

/** What a store knows of itself, kept in the engine beside the entries. */
export interface StoreState {
  storeId: string;
  /** What it was called before, the newest first; the newest few. */
  formerIds: string[];
  /** Whether it was ever declared whole since it was made. */
  whole: boolean;
  /** Doubts found and not yet resolved. */
  doubts: string[];
}

export function stateWrite({ storeId, formerIds, whole }: StoreState): EngineWrite {
  return { key: STATE_KEY, value: Buffer.from(JSON.stringify({ storeId, formerIds, whole })) };
}

/** With a storeId that it had before put in front of the others. */
export function withFormer(formerIds: readonly string[], storeId: string): string[] {
  return [storeId, ...formerIds.filter((id) => id !== storeId)].slice(0, MOST_FORMER_IDS);
}

/** Undefined when the record is unreadable, which is a doubt of its own. */
export function parseState(value: Buffer | undefined): Omit<StoreState, 'doubts'> | undefined {
  if (value === undefined) return undefined;
  try {
    const { storeId, formerIds = [], whole } = JSON.parse(value.toString()) as Record<string, unknown>;
    if (typeof storeId !== 'string' || !Array.isArray(formerIds)) return undefined;
    return { storeId, formerIds: formerIds.map(String), whole: whole === true };
  } catch {
    return undefined;
  }
}

/** A doubt is its own key, so that noting it twice is noting it once. */
export function doubtKey(text: string): Buffer {
  return Buffer.concat([DOUBT_PREFIX, Buffer.from(text)]);
}
