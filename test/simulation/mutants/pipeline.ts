import type { Mutant } from './mutant.js';

/** What the store holds is wrong: it is not enough that something comes to a halt. */
const EXACTNESS = ['the store holds what the log says', 'single writer', 'an event counts once'];

const BUGS: readonly Mutant[] = [
  {
    name: 'no-intent',
    bug: 'a batch is flushed before the checkpoint names it',
    edits: [
      {
        file: 'client/log-driven/batches.ts',
        find: 'await writer.write({ committed, end, producerId: producer.producerId, rules });',
        replace: 'await writer.write({ committed, producerId: producer.producerId, rules });',
      },
    ],
    profile: 'pipeline',
    within: 5,
  },
  {
    name: 'checkpoint-not-written-back',
    bug: 'an owner acts on a checkpoint that perhaps one replica alone holds',
    edits: [
      {
        file: 'node/quorum/registers.ts',
        find: "if ((await this.#accept(name, record, deadlineMs)) === 'held') return record;",
        replace:
          "if (!writesBack || (await this.#accept(name, record, deadlineMs)) === 'held') return record;",
      },
      {
        file: 'node/quorum/registers.ts',
        find: 'async acquire(name: string, timeoutMs: number): Promise<RegisterRecord> {',
        replace:
          'async acquire(name: string, timeoutMs: number, writesBack = false): Promise<RegisterRecord> {',
      },
      {
        // A reader that takes over does so for good: else candidates that only look would never see it stand still.
        file: 'node/quorum/registers.ts',
        find: 'return this.acquire(name, deadlineMs - this.#context.clock.monotonicMs());',
        replace: 'return this.acquire(name, deadlineMs - this.#context.clock.monotonicMs(), true);',
      },
    ],
    profile: 'pipeline, lone checkpoints',
    within: 30,
  },
  {
    name: 'batch-cut-anew',
    bug: 'a successor completes not the batch that was intended but all that the log holds now',
    edits: [
      {
        file: 'client/log-driven/recovery.ts',
        find: 'const { committed, end, producerId } = checkpoint;',
        replace:
          'const { committed, end: intended, producerId } = checkpoint;\n' +
          '  const end = intended && (await context.source.bounds({ timeoutMs: 500 })).end;',
      },
    ],
    profile: 'pipeline',
    within: 5,
  },
  {
    name: 'committed-before-flushed',
    bug: 'a batch is committed before its shards are written',
    edits: [
      {
        file: 'client/log-driven/batches.ts',
        find: 'await writer.write({ committed, end, producerId: producer.producerId, rules });',
        replace:
          'await writer.write({ committed: end, end: undefined, producerId: producer.producerId, rules });',
      },
    ],
    profile: 'pipeline',
    within: 12,
  },
  {
    name: 'flushed-at-one',
    bug: 'a batch is committed when one replica holds its shards',
    edits: [
      {
        file: 'client/log-driven/shard-writer.ts',
        find: "const LEVEL = 'QUORUM';",
        replace: "const LEVEL = 'ONE';",
      },
    ],
    profile: 'pipeline, lone shards',
    within: 20,
  },
  {
    name: 'judged-by-own-clock',
    bug: 'whether an event is too far ahead is judged by the clock of whoever counts it',
    edits: [
      {
        file: 'services/processing/event-rule.ts',
        find: 'checkEventTime(event.timestampMs, record.appendedAtMs);',
        replace: 'checkEventTime(event.timestampMs, this.#parts.wallMs());',
      },
      {
        file: 'services/processing/instance.ts',
        find: '      dedupWindow: limits.dedupWindow,\n      async reject',
        replace:
          '      dedupWindow: limits.dedupWindow,\n' +
          '      wallMs: () => this.#parts.client.parts.ports.clock.wallMs(),\n      async reject',
      },
    ],
    profile: 'pipeline',
    within: 5,
  },
  {
    name: 'window-not-looked-back',
    bug: 'an owner knows none of the ids that stand before its first batch',
    edits: [
      {
        file: 'client/log-driven/owner-context.ts',
        find: 'for await (const { offset, record } of reader.upTo(from)) run.pass(offset, record);',
        replace: 'for await (const _ of reader.upTo(from)) continue;',
      },
    ],
    profile: 'pipeline',
    within: 20,
  },
  {
    name: 'released-too-early',
    bug: 'the log may drop what a successor has still to look back at',
    edits: [
      {
        file: 'client/log-driven/partition-owner.ts',
        find: 'return lookBackStart(newestRule(this.checkpoint), this.checkpoint.committed);',
        replace: 'return this.checkpoint.committed;',
      },
    ],
    profile: 'pipeline',
    within: 5,
    by: ['nothing is released that a successor needs'],
  },
  {
    name: 'predecessors-shards-not-read',
    bug: 'a successor writes its part of a batch over what the predecessor had counted before',
    edits: [
      {
        file: 'client/log-driven/recovery.ts',
        find: 'cell.shard = completeShard(held[i], cell, end);',
        replace: 'cell.shard = completeShard(held[i] && undefined, cell, end);',
      },
    ],
    profile: 'pipeline, lone checkpoints',
    within: 5,
  },
  {
    name: 'batch-added-twice',
    bug: 'a successor adds its part of a batch to shards that have it already',
    edits: [
      {
        file: 'client/log-driven/log-producer.ts',
        find: 'if (held.sequence >= end) return held;',
        replace: 'if (held.sequence > end) return held;',
      },
    ],
    profile: 'pipeline',
    within: 5,
  },
  {
    name: 'flushed-beside-the-intent',
    bug: 'a batch is flushed while its intent is still being written',
    edits: [
      {
        file: 'client/log-driven/batches.ts',
        find: 'await writer.write({ committed, end, producerId: producer.producerId, rules });',
        replace: 'const named = writer.write({ committed, end, producerId: producer.producerId, rules });',
      },
      {
        file: 'client/log-driven/batches.ts',
        find: '      flush && store.write(flush, waiting, isBehind',
        replace: '      named,\n      flush && store.write(flush, waiting, isBehind',
      },
    ],
    profile: 'pipeline',
    within: 12,
  },
  {
    name: 'predecessors-id-kept',
    bug: 'an owner goes on under the producerId of its predecessor, without its shards',
    edits: [
      {
        file: 'client/log-driven/batches.ts',
        find: 'const producerId = await store.mint(above, waiting);',
        replace:
          'const former = this.#producer === undefined ? writer.next.producerId : null;\n' +
          '    const producerId = former ?? (await store.mint(above, waiting));',
      },
    ],
    profile: 'pipeline',
    within: 5,
  },
  {
    name: 'rolled-in-a-batch',
    bug: 'a full producer makes place for a fresh one in the middle of a batch',
    edits: [
      {
        file: 'client/log-driven/batches.ts',
        find: 'if (!this.#addWhatIsHere() || isStopping()) return;',
        replace:
          'const isFull = !this.#addWhatIsHere();\n' +
          '      if (isFull || isStopping()) {\n' +
          '        if (this.#records > 1) await this.#freshProducer();\n' +
          '        return;\n      }',
      },
    ],
    profile: 'pipeline, small windows',
    within: 5,
  },
  {
    name: 'looked-back-one-too-few',
    bug: 'an owner begins to look back one record too late',
    edits: [
      {
        file: 'client/log-driven/checkpoint.ts',
        find: 'return Math.max(lookBackFrom, offset - lookBack);',
        replace: 'return Math.max(lookBackFrom, offset - lookBack + 1);',
      },
    ],
    profile: 'pipeline, small windows',
    within: 5,
    by: [...EXACTNESS, 'nothing is released that a successor needs'],
  },
  {
    name: 'window-of-whoever-completes',
    bug: 'a successor completes a batch by its own window, not by the one that was intended with it',
    edits: [
      {
        file: 'client/log-driven/recovery.ts',
        find: 'await beginAt(context, newestRule(checkpoint), committed);',
        replace:
          'await beginAt(context, { ...newestRule(checkpoint), lookBack: context.wanted.lookBack }, committed);',
      },
    ],
    profile: 'pipeline, small windows',
    within: 36,
  },
];

/** The counting pipeline: every event of the log counts once, whoever dies. */
export const PIPELINE: readonly Mutant[] = BUGS.map((mutant) => ({ by: EXACTNESS, ...mutant }));
