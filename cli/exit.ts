import { asTallyringError, type ErrorData, errorToData, TallyringError } from '../proto/errors.js';

/** What every verb's exit code says. */
export const EXIT = { done: 0, partly: 1, usage: 2, unavailable: 3, inDoubt: 4 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Exit code of a failure: whether it may have happened first, then whether the request itself was wrong. */
export function exitOf(error: ErrorData | TallyringError): ExitCode {
  if (error.mayHaveApplied) return EXIT.inDoubt;
  return error.code === 'INVALID_ARGUMENT' || error.code === 'OUT_OF_RANGE' ? EXIT.usage : EXIT.unavailable;
}

export function usage(message: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', message);
}

/** A failure as `--json` prints it: one line, unknown facts left out. */
export function errorJson(error: unknown): string {
  return JSON.stringify({ error: errorToData(asTallyringError(error)) });
}

/** A failure for people: the text, then what is known of the answers. */
export function errorText(error: unknown): string {
  const known = asTallyringError(error);
  const facts: string[] = [];
  if (known.required !== undefined) facts.push(`required ${known.required}`);
  if (known.received !== undefined) facts.push(`received ${known.received}`);
  if (known.live !== undefined) facts.push(`live ${known.live}`);
  const doubt = known.mayHaveApplied
    ? '\nIn doubt: it may have been applied; doing it again may count twice.'
    : '';
  return `${known.code}: ${known.message}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}${doubt}`;
}
