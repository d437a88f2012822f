import type { Mutant } from './mutant.js';

/** Coordinators and replicas: what counts toward a level, and what a read answers. */
export const QUORUM: readonly Mutant[] = [
  {
    name: 'merge-drops-shard',
    bug: 'a replica acknowledges a merge and leaves out its last shard',
    edits: [
      {
        file: 'node/quorum/replica.ts',
        find: '    return this.merge(entries);',
        replace: '    return this.merge(entries.slice(0, -1));',
      },
    ],
    profile: 'lost messages',
    within: 5,
  },
  {
    name: 'level-counts-hints',
    bug: 'a hint for a replica that is down counts toward the level',
    edits: [
      {
        file: 'node/quorum/writes.ts',
        find: 'for (const [nodeId, groups] of plan.down) this.#keepHints(nodeId, entriesOf(plan, groups));',
        replace: `for (const [nodeId, groups] of plan.down) {
      this.#keepHints(nodeId, entriesOf(plan, groups));
      for (const { tally, replicas } of groups) {
        tally.ask(replicas.find((replica) => replica.nodeId === nodeId)!);
        tally.answer(nodeId, true, deadlineMs);
      }
    }`,
      },
    ],
    profile: 'kills, busy links',
    within: 5,
  },
  {
    name: 'tally-counts-late-answers',
    bug: 'a tally counts an answer that came after its deadline',
    edits: [
      {
        file: 'node/quorum/tally.ts',
        find: 'if (good && nowMs > this.deadlineMs) return this.verdict;',
        replace: '',
      },
    ],
    profile: 'sleeping coordinators',
    within: 5,
  },
  {
    name: 'read-repair-writes-stale',
    bug: 'read repair writes back to a stale replica what that replica holds already',
    edits: [
      {
        file: 'node/quorum/read-merge.ts',
        find: 'missing.push(entry);',
        replace: 'missing.push({ key: entry.key, value: value ?? entry.value });',
      },
    ],
    profile: 'busy links',
    within: 6,
  },
  {
    name: 'read-repair-not-awaited',
    bug: 'a read is answered before what its replicas lacked was written back to them',
    edits: [
      {
        file: 'node/quorum/reads.ts',
        find: 'repaired.set(nodeId, await this.#writeBack(nodeId, entries, { options, deadlineMs }));',
        replace:
          'void this.#writeBack(nodeId, entries, { options, deadlineMs });\n        repaired.set(nodeId, true);',
      },
    ],
    profile: 'busy links, slow disks',
    within: 5,
  },
  {
    name: 'quorum-read-asks-one',
    bug: 'a coordinator answers a quorum read from one replica',
    edits: [
      {
        file: 'node/quorum/reads.ts',
        find: 'const requirement = requirementOf(options.level, options.ring.replication, datacenter);',
        replace: "const requirement = requirementOf('ONE', options.ring.replication, datacenter);",
      },
    ],
    profile: 'lost messages',
    within: 5,
  },
  {
    name: 'recovering-node-answers',
    bug: 'a recovering replica answers quorum reads',
    edits: [
      {
        file: 'node/quorum/replica.ts',
        find: 'const answerable = one || this.#isWhole();',
        replace: 'const answerable = true;',
      },
    ],
    profile: 'wiped stores',
    within: 18,
  },
  {
    name: 'damaged-row-answered',
    bug: 'a replica answers quorum reads of a row in which it met a bad record',
    edits: [
      {
        file: 'node/quorum/replica.ts',
        find: 'intact: !own.some((read) => read.damaged) };',
        replace: 'intact: true };',
      },
    ],
    profile: 'flipped bits',
    within: 60,
  },
  {
    name: 'replicas-share-a-batch',
    bug: 'all replicas of a flush get the entries that the first of them is to hold',
    edits: [
      {
        file: 'node/quorum/writes.ts',
        find: 'const name = groups.map((group) => group.id).join();',
        replace: "const name = '';",
      },
    ],
    profile: 'many replica sets',
    within: 6,
  },
];
