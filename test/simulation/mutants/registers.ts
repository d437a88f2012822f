import type { Mutant } from './mutant.js';

/** Quorum registers: one owner at a time, also where replicas lose their stores. */
export const REGISTERS: readonly Mutant[] = [
  {
    name: 'takeover-not-written-back',
    bug: 'a new owner acts on the record that it found before a quorum holds it under the new epoch',
    edits: [
      {
        file: 'node/quorum/registers.ts',
        find: "if ((await this.#accept(name, record, deadlineMs)) === 'held') return record;",
        replace: 'return record;',
      },
    ],
    profile: 'registers',
    within: 6,
  },
  {
    name: 'register-read-not-written-back',
    bug: 'a read of a register shows what perhaps only one replica holds',
    edits: [
      {
        file: 'node/quorum/registers.ts',
        find: 'if (met && isSettled(answers)) return newest;',
        replace: 'if (met) return newest;',
      },
    ],
    profile: 'registers',
    within: 6,
  },
  {
    name: 'fenced-ignored',
    bug: 'a write that a replica refused, because its owner is fenced, is told as confirmed',
    edits: [
      {
        file: 'node/quorum/registers.ts',
        find: "    if (outcome === 'held') return;",
        replace: "    if (outcome !== 'unknown') return;",
      },
    ],
    profile: 'registers',
    within: 5,
  },
  {
    name: 'promise-not-kept',
    bug: 'a replica takes a record of an epoch below the one that it promised',
    edits: [
      {
        file: 'node/quorum/register.ts',
        find: 'if (incoming.epoch < promisedBy(state)) return false;',
        replace: '',
      },
    ],
    profile: 'registers',
    within: 5,
  },
  {
    name: 'promise-not-durable',
    bug: 'a replica promises without writing it down',
    edits: [
      {
        file: 'node/quorum/register-replica.ts',
        find: 'return { agreed: true, writes: this.memory.promise(name, epoch) };',
        replace: 'this.memory.promise(name, epoch);\n      return { agreed: true };',
      },
    ],
    profile: 'registers, kills',
    within: 24,
  },
  {
    name: 'wiped-replica-votes',
    bug: 'a replica that lost its store votes in registers from a blank memory',
    edits: [
      {
        file: 'node/quorum/register-replica.ts',
        find: 'if (!this.#parts.isWhole()) return',
        replace: 'if (this.#waiting.length < 0) return',
      },
      { file: 'node/repair/recovery.ts', find: '    await this.#reenter();\n', replace: '' },
    ],
    profile: 'registers, wiped stores',
    within: 60,
  },
];
