import type { z } from 'zod';
import { TallyringError } from '../../proto/errors.js';
import { schemaProblem } from '../../proto/schema-problem.js';

const MAX_PROBLEMS_SHOWN = 5;

/** Checks what a caller sent against a schema. Throws INVALID_ARGUMENT that names each field and its problem. */
export function check<T>(schema: z.ZodType<T>, value: unknown, what: 'query' | 'body' | 'headers'): T {
  const checked = schema.safeParse(value, { error: schemaProblem });
  if (checked.success) return checked.data;
  const { issues } = checked.error;
  const shown = issues.slice(0, MAX_PROBLEMS_SHOWN).map((issue) => problemText(issue, schema, what));
  if (issues.length > shown.length) shown.push(`and ${issues.length - shown.length} more problems`);
  throw new TallyringError('INVALID_ARGUMENT', shown.join('; '));
}

const NOUN = { query: 'query parameter', body: 'field', headers: 'header' };

function problemText(issue: z.core.$ZodIssue, schema: z.ZodType, what: keyof typeof NOUN): string {
  const noun = NOUN[what];
  const name = fieldName(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys.map((key) => JSON.stringify(key)).join(', ');
    const allowed = issue.path.length === 0 ? fieldsOf(schema) : [];
    const words = allowed.length === 0 ? '' : `; there is ${allowed.join(', ')}`;
    return `unknown ${noun} ${unknown}${name === '' ? '' : ` in ${name}`}${words}`;
  }
  // Ours go on from the name; a schema's own are sentences.
  return `${name === '' ? `the ${what}` : `${noun} ${name}`}${/^(is|must) /.test(issue.message) ? ' ' : ': '}${issue.message}`;
}

function fieldsOf(schema: z.ZodType): string[] {
  const { shape } = schema as { shape?: Record<string, unknown> };
  return Object.keys(shape ?? {});
}

/** events[1].value */
function fieldName(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text;
}

/** The parameters of a URL: a text, or the texts in order where a name stands several times. */
export function queryOf(url: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null);
  const start = url.indexOf('?');
  if (start === -1) return query;
  for (const part of url.slice(start + 1).split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = decoded(at === -1 ? part : part.slice(0, at));
    const value = decoded(at === -1 ? '' : part.slice(at + 1));
    const before = query[name];
    query[name] = before === undefined ? value : [...(typeof before === 'string' ? [before] : before), value];
  }
  return { ...query };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    const shown = JSON.stringify(text.slice(0, 40));
    throw new TallyringError('INVALID_ARGUMENT', `${shown} in the query is not percent-encoded UTF-8`);
  }
}
