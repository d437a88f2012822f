import type { Mutant } from './mutant.js';

/** A replica's store: what is acknowledged and answered rests on what is synced; what is bad is noticed. */
export const STORAGE: readonly Mutant[] = [
  {
    name: 'ack-before-sync',
    bug: 'a merge is acknowledged when its batch is handed to the disk, not when it is synced',
    edits: [
      {
        file: 'node/storage/committer.ts',
        find: 'await this.#parts.engine.write(writes, sync);',
        replace: 'void this.#parts.engine.write(writes, sync);',
      },
    ],
    profile: 'kills during slow syncs',
    within: 5,
  },
  {
    name: 'held-value-not-renewed',
    bug: 'what is known of a held value stays that of the first one, so that an older one replaces a newer one',
    edits: [
      {
        file: 'node/storage/committer.ts',
        find: '      hold(held, { key, value: after });\n',
        replace: '',
      },
    ],
    profile: 'busy links',
    within: 5,
  },
  {
    name: 'unchanged-merge-acked-early',
    bug: 'a merge that changes nothing is acknowledged at once, while what it repeats is not synced yet',
    edits: [
      {
        file: 'node/storage/engine-store.ts',
        find: '    const changed = await this.#committer.run({ entries, bytes, sync: options.sync });',
        replace: `    const held = ((this as any).heldValues ??= new Map<string, Buffer>());
    if (entries.every(({ key, value }) => held.get(key.toString('latin1'))?.equals(value))) {
      return { changed: 0, batch: this.syncedBatch };
    }
    for (const { key, value } of entries) held.set(key.toString('latin1'), value);
    const changed = await this.#committer.run({ entries, bytes, sync: options.sync });`,
      },
    ],
    profile: 'duplicates during slow syncs',
    within: 6,
  },
  {
    name: 'unsynced-state-read',
    bug: 'a read shows what waits to be synced',
    edits: [
      {
        file: 'node/storage/engine-store.ts',
        find: '    const changed = await this.#committer.run({ entries, bytes, sync: options.sync });',
        replace: `    const unsynced = ((this as any).unsynced ??= new Set<Entry>());
    for (const entry of entries) unsynced.add(entry);
    const changed = await this.#committer.run({ entries, bytes, sync: options.sync });
    for (const entry of entries) unsynced.delete(entry);`,
      },
      {
        file: 'node/storage/engine-store.ts',
        find: 'const oneCell = isOneCell(range);',
        replace: 'const oneCell = false;',
      },
      {
        file: 'node/storage/engine-store.ts',
        find: '    // Asked last, so that damage',
        replace: `    for (const entry of ((this as any).unsynced ?? []) as Set<Entry>) {
      if (entry.key.compare(range.from) < 0 || entry.key.compare(range.to) >= 0) continue;
      const at = read.entries.findIndex(({ key }) => key.equals(entry.key));
      if (at < 0) read.entries.push(entry);
      else if (kindOf(kindOfEntry(entry.key)).merge(read.entries[at]!.value, entry.value) === 'incoming') {
        read.entries[at] = entry;
      }
    }
    // Asked last, so that damage`,
      },
    ],
    profile: 'unsynced state',
    within: 15,
  },
  {
    name: 'cached-read-not-forgotten',
    bug: 'a read that a commit overlapped is remembered, and answered after that commit',
    edits: [
      {
        file: 'node/storage/cell-cache.ts',
        find: 'if (start === undefined || start.commits !== this.#commits) return;',
        replace: '',
      },
      {
        file: 'node/storage/cell-cache.ts',
        find: 'return this.#writing ? undefined : { commits: this.#commits };',
        replace: 'return { commits: this.#commits };',
      },
    ],
    profile: 'busy links, slow disks',
    within: 12,
  },
  {
    name: 'failed-store-goes-on',
    bug: 'a store acknowledges writes after one of its writes failed',
    edits: [
      {
        file: 'node/storage/group-commit.ts',
        find: `      this.fail(error as Error);
      for (const job of group) job.reject(this.#failure!);`,
        replace: `      for (const job of group) {
        this.#pendingBytes -= job.bytes;
        job.reject(error as Error);
      }`,
      },
    ],
    profile: 'failed writes',
    within: 5,
  },
  {
    name: 'checksum-not-checked',
    bug: 'records are read without a look at their checksum',
    edits: [
      {
        file: 'node/storage/engine-store.ts',
        find: '      if (isIntact(record)) {',
        replace: '      if (record !== undefined) {',
      },
    ],
    profile: 'flipped bits',
    within: 15,
  },
  {
    name: 'older-shard-wins',
    bug: 'a shard replaces the one held whatever its sequence',
    edits: [
      {
        file: 'node/storage/kinds.ts',
        find: "if (theirs !== ours) return theirs > ours ? 'incoming' : 'held';",
        replace: "if (theirs !== ours) return 'incoming';",
      },
    ],
    profile: 'lost messages',
    within: 5,
  },
  {
    name: 'older-hint-wins',
    bug: 'a hint is overwritten by an older state of its entry',
    edits: [
      {
        file: 'node/storage/hints.ts',
        find: "        if (verdict !== 'incoming' && verdict !== 'conflictIncoming') continue;",
        replace: "        if (verdict === 'unchanged') continue;",
      },
    ],
    profile: 'hints alone',
    within: 60,
  },
  {
    name: 'gap-ignored',
    bug: 'batches that are missing from the log put the store in no doubt',
    edits: [
      {
        file: 'node/storage/markers.ts',
        find: 'if (batch !== newest + 1) gaps.push(',
        replace: 'if (batch < newest) gaps.push(',
      },
    ],
    profile: 'lost batches',
    within: 12,
  },
];
