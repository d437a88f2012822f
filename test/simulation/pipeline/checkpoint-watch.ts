import { newestRule, type Rule } from '../../../client/log-driven/checkpoint.js';
import type { HeldCheckpoint } from './steps.js';

/** That the log was told what is not needed any more, and what was known then. */
export interface Release {
  partition: number;
  before: number;
  /** Checkpoints of the partition that owners were told to stand. */
  known: number;
}

/** What owners were told of their checkpoints, for the checkers; and what befell them, counted. */
export class CheckpointWatch {
  readonly held: HeldCheckpoint[] = [];
  readonly releases: Release[] = [];
  readonly #count: (name: string) => void;
  readonly #last = new Map<number, HeldCheckpoint>();

  constructor(count: (name: string) => void) {
    this.#count = count;
  }

  add(now: HeldCheckpoint): void {
    const { partition, how, process, epoch, checkpoint } = now;
    const before = this.#last.get(partition);
    this.held.push(now);
    this.#last.set(partition, now);
    const { end } = checkpoint;
    if (how === 'written' && end !== undefined && end !== before?.checkpoint.end)
      this.#count('seen: batch intended');
    if (how === 'acquired') {
      this.#count('seen: partition acquired');
      if (before !== undefined && before.process !== process && before.how === 'acquired')
        this.#count('seen: acquired right after another candidate');
      if (end !== undefined) this.#count('seen: a batch to complete');
    }
    if (before === undefined || before.epoch !== epoch || how === 'acquired') return;
    const [id, former] = [checkpoint.producerId, before.checkpoint.producerId];
    if (
      before.how === 'written' &&
      before.checkpoint.end !== undefined &&
      id !== null &&
      former?.equals(id) === false
    )
      this.#count('seen: producer rolled');
    if (newestRule(checkpoint).from !== newestRule(before.checkpoint).from)
      this.#count('seen: window changed');
    if (checkpoint.owner === '' && before.checkpoint.owner !== '') this.#count('seen: partition given back');
  }

  released(partition: number, before: number): void {
    const known = this.held.filter((held) => held.partition === partition).length;
    this.releases.push({ partition, before, known });
  }

  /** The rules of a partition by the offset from which they decide, as owners went by them. */
  rules(partition: number): Rule[] {
    const byFrom = new Map<number, Rule>();
    const own = this.held.filter((held) => held.partition === partition);
    own.sort((a, b) => a.epoch - b.epoch || a.write - b.write);
    for (const { checkpoint } of own) for (const rule of checkpoint.rules) byFrom.set(rule.from, rule);
    return [...byFrom.values()].sort((a, b) => a.from - b.from);
  }
}
