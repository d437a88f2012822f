import type { Mutant } from './mutant.js';

/** Recovery of a store that is not whole, hints, anti-entropy. */
export const REPAIR: readonly Mutant[] = [
  {
    name: 'rollback-believed-whole',
    bug: 'a store that was set back is believed whole: what its peers remember of it is ignored',
    edits: [
      {
        file: 'node/repair/recovery.ts',
        find: '} else if (theirs.batch > openedAtBatch) {',
        replace: '} else if (theirs.batch < 0) {',
      },
    ],
    profile: 'restored snapshots',
    within: 21,
  },
  {
    name: 'recovery-from-one',
    bug: 'a store that was lost is whole again once one other replica was merged',
    edits: [
      {
        file: 'node/repair/recovery.ts',
        find: 'const required = nodeIds.length - Math.floor(nodeIds.length / 2);',
        replace: 'const required = 1;',
      },
    ],
    profile: 'wiped stores',
    within: 5,
  },
  {
    name: 'anti-entropy-moves-nothing',
    bug: 'anti-entropy finds what differs and exchanges nothing',
    edits: [
      {
        file: 'node/repair/anti-entropy.ts',
        find: 'for (const leaf of choice.leaves) leaves.add(leaf);',
        replace: '',
      },
    ],
    profile: 'anti-entropy alone',
    within: 5,
  },
  {
    name: 'tree-misses-commits',
    bug: 'the hash tree is not changed by commits, so that anti-entropy sees no difference',
    edits: [
      {
        file: 'node/repair/tree-store.ts',
        find: '      else tree.toggleHash(key, before.high, before.low);\n      tree.toggle(key, after);\n',
        replace: '',
      },
    ],
    profile: 'anti-entropy alone',
    within: 5,
  },
  {
    name: 'hints-not-replayed',
    bug: 'hints are kept and never delivered',
    edits: [
      {
        file: 'node/repair/hint-replay.ts',
        find: 'const entries = await this.#hints.page(target, PAGE_ENTRIES);',
        replace: 'const entries: Entry[] = [];',
      },
    ],
    profile: 'hints alone',
    within: 6,
  },
];
