import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { History, type IncrementRecord } from '../simulation/history.js';
import type { ClientRun } from './clients.js';
import type { RecordLine } from './workers/records.js';

/** The history of all client processes as one. Positions in it are nanoseconds since the run's start. */
export async function mergeHistories(runs: readonly ClientRun[]): Promise<History> {
  const history = new History(() => 0);
  for (const run of runs) await addFile(history, run);
  return history;
}

async function addFile(history: History, run: ClientRun): Promise<void> {
  const { name: client, role, historyFile } = run;
  const producer = role === 'sdk' ? 'sdk' : 'plain';
  const open = new Map<number, IncrementRecord>();
  for await (const line of createInterface({ input: createReadStream(historyFile) })) {
    const record = parse(line);
    if (record === undefined) continue; // the last line of a killed process may be cut short
    if (record[0] === 'i') {
      const [, id, began, key, eventType, value, timestampMs, level] = record;
      const increment: IncrementRecord = {
        client,
        producer,
        key,
        eventType,
        value,
        timestampMs,
        level,
        impossible: false,
        outcome: 'waiting',
        ...span(began, null),
      };
      open.set(id, increment);
      history.increments.push(increment);
    } else if (record[0] === 'e') {
      const [, id, ended, outcome] = record;
      const increment = open.get(id)!;
      open.delete(id);
      increment.outcome = outcome;
      increment.ended = ended;
      increment.endedMs = ended / 1e6;
    } else {
      const [, began, ended, key, eventType, granularity, window, level, count, sum] = record;
      const value = count === null ? undefined : { count, sum: sum!, min: null, max: null };
      history.reads.push({
        client,
        key,
        eventType,
        granularity,
        window,
        level,
        ...span(began, ended),
        ...(value && { value }),
      });
    }
  }
  if (run.killedAtNs === undefined) return;
  // Its process died before it was told: counted or not.
  for (const increment of open.values()) {
    increment.outcome = 'lost';
    increment.ended = run.killedAtNs;
    increment.endedMs = run.killedAtNs / 1e6;
  }
}

function span(began: number, ended: number | null) {
  return {
    began,
    ended: ended ?? undefined,
    beganMs: began / 1e6,
    endedMs: ended === null ? undefined : ended / 1e6,
  };
}

function parse(line: string): RecordLine | undefined {
  try {
    return JSON.parse(line) as RecordLine;
  } catch {
    return undefined;
  }
}
