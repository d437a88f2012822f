import type { CallOptions } from '../proto/calls.js';
import type { DeadLetterKey, DeadLetters, StoredDeadLetter } from '../services/log/dead-letters.js';
import { usage } from './exit.js';

/** Dead letters, page by page. */

const PAGE = 500;

/** All of them in order, or those with a reason. */
export async function* lettersAfter(
  deadLetters: DeadLetters,
  { reason, call }: { reason: string | undefined; call: CallOptions },
): AsyncGenerator<StoredDeadLetter> {
  let after: DeadLetterKey | undefined;
  for (;;) {
    const page = await deadLetters.list(after, PAGE, call);
    if (page.length === 0) return;
    for (const letter of page) if (reason === undefined || letter.reason === reason) yield letter;
    after = page.at(-1)!;
  }
}

export type Wanted = { keys: readonly DeadLetterKey[] } | { reason: string | undefined };

/** Throws INVALID_ARGUMENT for a key that is none. */
export async function* lettersOf(
  deadLetters: DeadLetters,
  wanted: Wanted,
  call: CallOptions,
): AsyncGenerator<StoredDeadLetter> {
  if ('reason' in wanted) {
    yield* lettersAfter(deadLetters, { reason: wanted.reason, call });
    return;
  }
  for (const key of wanted.keys) {
    const [letter] = await deadLetters.list(keyBefore(key), 1, call);
    if (letter?.partition !== key.partition || letter.offset !== key.offset)
      throw usage(`there is no dead letter ${key.partition}:${key.offset}`);
    yield letter;
  }
}

function keyBefore({ partition, offset }: DeadLetterKey): DeadLetterKey | undefined {
  if (offset > 0) return { partition, offset: offset - 1 };
  return partition === 0 ? undefined : { partition: partition - 1, offset: Number.MAX_SAFE_INTEGER };
}

/** PARTITION:OFFSET. Throws INVALID_ARGUMENT. */
export function parseLetterKey(text: string): DeadLetterKey {
  const [, partition, offset] = /^(\d{1,9}):(\d{1,15})$/.exec(text) ?? [];
  if (partition === undefined)
    throw usage(`${JSON.stringify(text)} is no dead letter; give PARTITION:OFFSET`);
  return { partition: Number(partition), offset: Number(offset) };
}
