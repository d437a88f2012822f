import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkFinalValues } from '../simulation/checkers/final-value.js';
import { mergeHistories } from './history-files.js';
import { emptyTally, Recorder } from './workers/records.js';

const EVENT = { key: 'k', eventType: 'view', value: 2, timestampMs: 0, level: 'QUORUM' } as const;
const READ = { key: 'k', eventType: 'view', granularity: 'total', window: 0, level: 'QUORUM' } as const;

describe('histories of client processes', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'histories-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('come together in the order of the one clock that they share', async () => {
    const startNs = process.hrtime.bigint();
    const files = ['a', 'b'].map((name) => join(folder, name));
    const [a, b] = files.map((file) => new Recorder(file, startNs));
    const first = a!.increment(EVENT);
    a!.incrementEnded(first, 'acknowledged');
    const read = { ...READ };
    b!.read(read);
    b!.readEnded(read, { count: 1, sum: 2 });
    b!.read({ ...READ });
    const failed = b!.increment(EVENT);
    b!.incrementEnded(failed, 'not applied', 'OVERLOADED');
    for (const recorder of [a!, b!]) recorder.close();
    const runs = files.map((historyFile, i) => ({
      name: `c${i}`,
      role: 'sdk' as const,
      historyFile,
      tally: emptyTally(),
    }));
    const { increments, reads } = await mergeHistories(runs);
    expect(increments.map(({ outcome }) => outcome)).toEqual(['acknowledged', 'not applied']);
    expect(increments[0]!.ended!).toBeLessThan(reads[0]!.began);
    expect(reads[0]!.value).toMatchObject({ count: 1, sum: 2 });
    expect(reads[1]!.ended).toBeUndefined();
    expect(b!.tally).toMatchObject({ notApplied: 1, reads: 1, errors: { OVERLOADED: 1 } });
  });

  it('of a killed process hold what it attempted, in doubt, and not its last line cut short', async () => {
    const historyFile = join(folder, 'killed');
    writeFileSync(
      historyFile,
      `["i",0,10,"k","view",2,0,"QUORUM"]\n["e",0,20,"acknowledged",null]\n["i",1,30,"k","view",2,0,"QUORUM"]\n["e",1,4`,
    );
    const run = { name: 'c', role: 'sdk' as const, historyFile, tally: emptyTally(), killedAtNs: 50 };
    const { increments } = await mergeHistories([run]);
    expect(increments.map(({ outcome, ended }) => [outcome, ended])).toEqual([
      ['acknowledged', 20],
      ['lost', 50],
    ]);
    // A store that has nothing lacks the first only.
    const [violation] = checkFinalValues(increments, new Map([['n', []]]), ['total']);
    expect(violation!.detail).toContain('count 0 not in [1, 2]');
  });
});
