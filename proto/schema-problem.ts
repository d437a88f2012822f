import type { z } from 'zod';

/** What is wrong with a value, in our own words: an error map for schemas, whose own messages come before it. */
export function schemaProblem(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return `must be ${nounOf(issue.expected)}, not ${shown(issue.input)}`;
    case 'invalid_value': {
      const words = issue.values.map(String);
      return `must be ${words.length === 1 ? words[0] : `one of ${words.join(', ')}`}, not ${shown(issue.input)}`;
    }
    case 'too_small':
      return `must ${bound(issue.origin, issue.inclusive ? 'at least' : 'more than', issue.minimum)}`;
    case 'too_big':
      return `must ${bound(issue.origin, issue.inclusive ? 'at most' : 'less than', issue.maximum)}`;
    default:
      return undefined;
  }
}

const NOUNS: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
};

export function nounOf(expected: string): string {
  return NOUNS[expected] ?? expected;
}

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === 'array') return `have ${relation} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  if (origin === 'string') return `have ${relation} ${limit} ${limit === 1 ? 'character' : 'characters'}`;
  return `be ${relation} ${limit}`;
}

const SHOWN_CHARACTERS = 40;

/** A value as messages show it: texts cut short, no more of lists and objects than what they are. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value !== 'string') return String(value);
  return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
}
