import type { EngineWrite } from './engine.js';
import { DOUBT_PREFIX, STATE_KEY } from './keyspace.js';

/** What a store knows of itself, kept in the engine beside the entries. */
export interface StoreState {
  storeId: string;
  /** Whether it was ever declared whole since it was made. */
  whole: boolean;
  /** Doubts found and not yet resolved. */
  doubts: string[];
}

export function stateWrite({ storeId, whole }: StoreState): EngineWrite {
  return { key: STATE_KEY, value: Buffer.from(JSON.stringify({ storeId, whole })) };
}

/** Undefined when the record is unreadable, which is a doubt of its own. */
export function parseState(value: Buffer | undefined): { storeId: string; whole: boolean } | undefined {
  if (value === undefined) return undefined;
  try {
    const { storeId, whole } = JSON.parse(value.toString()) as Record<string, unknown>;
    return typeof storeId === 'string' ? { storeId, whole: whole === true } : undefined;
  } catch {
    return undefined;
  }
}

/** A doubt is its own key, so that noting it twice is noting it once. */
export function doubtKey(text: string): Buffer {
  return Buffer.concat([DOUBT_PREFIX, Buffer.from(text)]);
}
