import type { Change } from '../../../node/storage/store.js';
import { CHECKSUM_BYTES, decodeEntryKey, type Entry, isIntact } from '../../../proto/entry.js';
import { versionOf } from './entry-version.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

/**
 * Watches every merge and every commit of every node, all incarnations:
 * - (producerId, cell, sequence) → state is a function over all time and nodes: one writer;
 * - on one replica a shard's sequence never falls, but by a store fault that the harness declared.
 */
export class VersionWatch {
  readonly violations: Violation[] = [];
  /** key → sequence → value bytes */
  readonly #states = new Map<string, Map<number, string>>();
  /** key and checksum → sequence: a checksum stands for its state */
  readonly #sequences = new Map<string, number>();
  /** node → key → newest committed sequence */
  readonly #committed = new Map<string, Map<string, number>>();

  /** Entries that a node was asked to merge. */
  merged(nodeId: string, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const key = entry.key.toString('latin1');
      const value = entry.value.toString('latin1');
      const hash = value.slice(-CHECKSUM_BYTES);
      if (this.#sequences.has(key + hash)) continue;
      if (!isIntact(entry)) {
        this.#report('entries are intact', `${nodeId} merged a damaged entry of ${describe(entry.key)}`);
        continue;
      }
      const sequence = versionOf(entry);
      this.#sequences.set(key + hash, sequence);
      const states = getOrMake(this.#states, key, () => new Map<number, string>());
      const known = states.get(sequence);
      if (known === undefined) states.set(sequence, value);
      else if (known !== value) {
        this.#report(
          'single writer',
          `${describe(entry.key)} has two states of sequence ${sequence}; the second reached ${nodeId}`,
        );
      }
    }
  }

  committed(nodeId: string, changes: readonly Change[]): void {
    const held = this.#held(nodeId);
    for (const { key, after } of changes) {
      const name = key.toString('latin1');
      const sequence = this.#sequences.get(name + after.toString('latin1', after.length - CHECKSUM_BYTES));
      if (sequence === undefined) {
        this.#report('commits are merges', `${nodeId} committed an unknown state of ${describe(key)}`);
        continue;
      }
      const before = held.get(name) ?? -1;
      if (sequence < before) {
        this.#report(
          'sequences grow',
          `${nodeId} went from ${before} back to ${sequence} at ${describe(key)}`,
        );
      }
      held.set(name, sequence);
    }
  }

  /** What stands on a node's disk as it starts: nothing that was committed may be missing. */
  reopened(nodeId: string, entries: readonly Entry[]): void {
    const found = new Map(entries.map((entry) => [entry.key.toString('latin1'), versionOf(entry)]));
    for (const [name, sequence] of this.#held(nodeId)) {
      const now = found.get(name) ?? -1;
      if (now >= sequence) continue;
      this.#report(
        'synced state survives',
        `${nodeId} had committed sequence ${sequence} and starts with ${now} at ${describe(Buffer.from(name, 'latin1'))}`,
      );
    }
    this.#committed.set(nodeId, found);
  }

  /** A declared store fault: this node starts from what it has. */
  forget(nodeId: string): void {
    this.#committed.delete(nodeId);
  }

  #held(nodeId: string): Map<string, number> {
    return getOrMake(this.#committed, nodeId, () => new Map<string, number>());
  }

  #report(check: string, detail: string): void {
    if (this.violations.length < 100) this.violations.push({ check, detail });
  }
}

function describe(key: Buffer): string {
  const { key: text, eventType, granularity, window, producerId } = decodeEntryKey(key);
  return `${text}/${eventType}/${granularity}/${window} of ${producerId}`;
}
