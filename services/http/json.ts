import { toInt64 } from '../../counter/int64.js';
import { TallyringError } from '../../proto/errors.js';

/** JSON in and out of the services: nothing is rounded on its way, and what is malformed is shown. */

/** Integers beyond 2^53 become strings of their digits. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? bigintJson(part) : part))}\n`;
}

function bigintJson(value: bigint): number | string {
  const normal = toInt64(value);
  return typeof normal === 'number' ? normal : value.toString();
}

const SHOWN_CHARACTERS = 20;
/** Longest text in which the place of a mistake is searched for. */
const MAX_SEARCHED_CHARACTERS = 65_536;

/** Throws INVALID_ARGUMENT that says where the text stops being JSON. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) {
    throw new TallyringError('INVALID_ARGUMENT', 'the body is empty; send a JSON object');
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new TallyringError('INVALID_ARGUMENT', 'the body is not UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TallyringError('INVALID_ARGUMENT', `the body is not JSON${placeText(text, error as Error)}`);
  }
}

function placeText(text: string, error: Error): string {
  const at = positionIn(error, text) ?? searchedPosition(text);
  if (at === undefined) return '';
  if (at >= text.length) return `: it ends too early, after ${text.length} characters`;
  const before = text.slice(0, at).split('\n');
  const near = JSON.stringify(text.slice(at, at + SHOWN_CHARACTERS));
  return ` at position ${at} (line ${before.length}, column ${before.at(-1)!.length + 1}), near ${near}`;
}

/** V8 names the position in most of its messages. */
function positionIn(error: Error, text: string): number | undefined {
  if (error.message.startsWith('Unexpected end')) return text.length;
  const named = /at position (\d+)/.exec(error.message)?.[1];
  return named === undefined ? undefined : Number(named);
}

/** The longest beginning that more text could make JSON of. */
function searchedPosition(text: string): number | undefined {
  if (text.length > MAX_SEARCHED_CHARACTERS) return undefined;
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (mayGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function mayGoOn(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    return (positionIn(error as Error, text) ?? -1) >= text.length;
  }
}
