import type { Entry } from '../../proto/entry.js';

/** Whether `incoming` replaces `held`, two values of one entry key, by the rule of the entry's kind. */
export type Supersedes = (key: Buffer, incoming: Buffer, held: Buffer) => boolean;

export interface MergedRow {
  /** The newest state of every entry that any answer holds. */
  entries: Entry[];
  /** Per answering replica what it lacks of that: to be written back before anything is answered. */
  stale: Map<string, Entry[]>;
}

/** Merges the answers of several replicas to one query. Pure. */
export function mergeAnswers(
  answers: ReadonlyMap<string, readonly Entry[]>,
  supersedes: Supersedes,
): MergedRow {
  if (answers.size === 1) {
    for (const entries of answers.values()) return { entries: [...entries], stale: new Map() };
  }
  const newest = new Map<string, Entry>();
  for (const entries of answers.values()) {
    for (const entry of entries) {
      const name = entry.key.toString('latin1');
      const held = newest.get(name);
      if (held === undefined || supersedes(entry.key, entry.value, held.value)) newest.set(name, entry);
    }
  }
  const stale = new Map<string, Entry[]>();
  for (const [nodeId, entries] of answers) {
    const held = new Map(entries.map((entry) => [entry.key.toString('latin1'), entry.value]));
    const missing: Entry[] = [];
    for (const [name, entry] of newest) {
      const value = held.get(name);
      if (value === undefined || !value.equals(entry.value)) missing.push(entry);
    }
    if (missing.length > 0) stale.set(nodeId, missing);
  }
  return { entries: [...newest.values()], stale };
}
