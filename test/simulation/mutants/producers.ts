import type { Mutant } from './mutant.js';

/** Whoever counts: the producer itself, the SDK around it, a node on behalf of plain callers. */
export const PRODUCERS: readonly Mutant[] = [
  {
    name: 'producer-id-reused',
    bug: 'a restarted node counts under the producerId that it had before',
    edits: [
      {
        file: 'node/compose.ts',
        find: 'const counting = new PlainCounting({',
        replace: 'let minted = 0;\n  const counting = new PlainCounting({',
      },
      {
        file: 'node/compose.ts',
        find: "mint: (above) => mint.mint('node', above),",
        replace: "mint: () => Buffer.from([nodeId, ++minted].join(' ').padEnd(16)),",
      },
    ],
    profile: 'kills',
    within: 12,
  },
  {
    name: 'evicted-cell-under-same-id',
    bug: 'a cell that left memory is taken up again from zero under the same producerId',
    edits: [
      {
        file: 'counter/producer.ts',
        find: '    this.#producerId = producerId;\n    this.#needsFreshId',
        replace: '    this.#needsFreshId',
      },
    ],
    profile: 'full producers',
    within: 6,
  },
  {
    name: 'sequence-not-raised',
    bug: 'every second flush carries new state under the sequence of the one before',
    edits: [
      {
        file: 'counter/flush.ts',
        find: 'shard: { sequence, count, sum, min, max }',
        replace: 'shard: { sequence: sequence - (sequence % 2), count, sum, min, max }',
      },
    ],
    profile: 'lost messages',
    within: 5,
  },
  {
    name: 'change-in-flight-forgotten',
    bug: 'an acknowledgement clears cells that were changed after the flush was taken',
    edits: [
      {
        file: 'counter/series.ts',
        find: 'if (cell.changedAt > sequence) this.unacknowledged[kept++] = cell;',
        replace: 'if (cell.changedAt > sequence + 1) this.unacknowledged[kept++] = cell;',
      },
    ],
    profile: 'lost messages',
    within: 10,
  },
  {
    name: 'failed-flush-forgotten',
    bug: 'the SDK takes a flush that failed for done and forgets what was dirty',
    edits: [
      {
        file: 'client/flusher.ts',
        find: 'producer.settle(part.flush, { failed: unfinished, quorum: true });',
        replace: 'producer.settle(part.flush, { failed: new Set(), quorum: true });',
      },
    ],
    profile: 'lost messages',
    within: 5,
  },
  {
    name: 'claim-met-by-earlier-flush',
    bug: 'the SDK acknowledges an increment with a flush that was taken before it',
    edits: [
      {
        file: 'client/claims.ts',
        find: 'claim.sequence <= sequence && this.#levels.implies',
        replace: 'this.#levels.implies',
      },
    ],
    profile: 'busy links',
    within: 5,
  },
  {
    name: 'plain-ack-of-failed-flush',
    bug: 'a node acknowledges a plain increment although its flush did not reach the level',
    edits: [
      {
        file: 'node/quorum/plain-counting.ts',
        find: 'const acknowledged = taken.has(waiter.series) && !errors.has(waiter.series);',
        replace: 'const acknowledged = taken.has(waiter.series);',
      },
    ],
    profile: 'busy links',
    within: 5,
  },
  {
    name: 'timeout-told-as-not-applied',
    bug: 'a plain increment that timed out is told not to be applied',
    edits: [
      {
        file: 'node/quorum/plain-counting.ts',
        find: 'mayHaveApplied: true,',
        replace: 'mayHaveApplied: false,',
      },
    ],
    profile: 'patient callers',
    within: 5,
  },
];
