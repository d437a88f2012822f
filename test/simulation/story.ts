import { decodeEntryKey, decodeShard, type Entry, isIntact, KIND, kindOfEntry } from '../../proto/entry.js';
import { decodeRegister, registerName } from '../../proto/register.js';
import { commandOf } from './case.js';
import { describeFault } from './faults.js';
import type { Shrunk } from './shrink.js';
import type { Trace } from './trace.js';

/** For the story: entries, and what somebody does with them. */
export function tellEntries(trace: Trace, who: string, entries: readonly Entry[]): void {
  if (!trace.keepsStory) return;
  for (const entry of entries) trace.tell(`  ${who} ${describeEntry(entry)}`);
}

function describeEntry(entry: Entry): string {
  const { key, value } = entry;
  if (!isIntact(entry)) return `a damaged entry ${key.toString('hex')}`;
  if (kindOfEntry(key) === KIND.register) {
    const { epoch, write, value: held } = decodeRegister(value);
    return `register ${registerName(key)}: epoch ${epoch}, write ${write}, ${held}`;
  }
  const { key: name, eventType, granularity, window, producerId } = decodeEntryKey(key);
  const { sequence, count, sum } = decodeShard(value);
  return `${name} ${eventType} ${granularity} ${window} of ${producerId}: sequence ${sequence}, count ${count}, sum ${sum}`;
}

/** Lines of a story that matter whatever the key: faults, processes, what got lost of reads and writes. */
const ALWAYS =
  /FAULT|heal:|is killed|is paused|goes on| starts | is up |does not start|has stopped|is whole again|set back|partition is over| (WARN|ERROR): /;
const LOST = /^\S+ lost: .*(flush|increment|merge|read|get|register)/;
const MOST_LINES = 400;

/** A run that was cut down (with its story kept), for people. */
export function tellStory({ case: one, result, check, runs }: Shrunk): string {
  const key = keyOf(result.violations.find((violation) => violation.check === check)?.detail ?? '');
  const told = result.story.filter((line) => matters(line, key));
  const cut = told.length > MOST_LINES ? [`… ${told.length - MOST_LINES} lines before`] : [];
  return [
    `Seed ${one.seed}, cut down in ${runs} runs. ${result.configuration}`,
    '',
    one.schedule.length === 0 ? 'No faults but those of the network.' : 'Faults:',
    ...one.schedule.map((fault) => `  ${describeFault(fault)}`),
    '',
    `What happened${key === undefined ? '' : ` to ${key}`}:`,
    ...[...cut, ...told.slice(-MOST_LINES)].map((line) => `  ${line}`),
    '',
    ...result.violations.slice(0, 5).map((violation) => `VIOLATED ${violation.check}: ${violation.detail}`),
    '',
    'Exactly this again:',
    `  ${commandOf(one)}`,
  ].join('\n');
}

/** The key that a violation is about, as workloads name keys. */
function keyOf(detail: string): string | undefined {
  return /\b(key|checkpoint)-\d+\b/.exec(detail)?.[0];
}

function matters(line: string, key: string | undefined): boolean {
  if (line.includes(' info: node is ')) return false;
  if (ALWAYS.test(line) || LOST.test(line)) return true;
  return key !== undefined && new RegExp(`\\b${key}\\b`).test(line);
}
