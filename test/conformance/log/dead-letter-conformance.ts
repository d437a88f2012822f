import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeadLetter, DeadLetterKey } from '../../../services/log/dead-letters.js';
import { CALL, type LogHarness, rejection, type TestedLog } from './log-conformance.js';

function letterOf(partition: number, offset: number): DeadLetter {
  return {
    partition,
    offset,
    appendedAtMs: 1_700_000_000_000 + offset,
    reason: 'MALFORMED',
    message: `the record at ${offset} is no array, “ü”`,
    payload: Buffer.from([0xff, offset]),
  };
}

const keysOf = (letters: readonly DeadLetterKey[]) =>
  letters.map(({ partition, offset }) => [partition, offset]);

/** Called by logConformance. */
export function deadLetterConformance(name: string, makeHarness: () => Promise<LogHarness>): void {
  describe(`dead letters: ${name}`, () => {
    let harness: LogHarness;
    let log: TestedLog;

    beforeEach(async () => {
      harness = await makeHarness();
      log = await harness.open();
    });
    afterEach(() => harness.dispose());

    it('are listed in order of partition and offset, in pages', async () => {
      await log.deadLetters.put([letterOf(1, 7), letterOf(0, 300)], CALL);
      await log.deadLetters.put([letterOf(0, 4), letterOf(3, 0)], CALL);
      const order = [
        [0, 4],
        [0, 300],
        [1, 7],
        [3, 0],
      ];
      expect(keysOf(await log.deadLetters.list(undefined, 100, CALL))).toEqual(order);
      const page = await log.deadLetters.list(undefined, 2, CALL);
      expect(page).toEqual([letterOf(0, 4), letterOf(0, 300)]);
      expect(keysOf(await log.deadLetters.list(page[1], 2, CALL))).toEqual(order.slice(2));
      expect(await log.deadLetters.list({ partition: 3, offset: 0 }, 2, CALL)).toEqual([]);
    });

    it('stay as they are when they are put again', async () => {
      await log.deadLetters.put([letterOf(0, 1)], CALL);
      await log.deadLetters.mark({ partition: 0, offset: 1 }, { state: 'done' }, CALL);
      const again = { ...letterOf(0, 1), reason: 'OTHER' };
      await log.deadLetters.put([again, letterOf(0, 2), again], CALL);
      expect(await log.deadLetters.list(undefined, 100, CALL)).toEqual([
        { ...letterOf(0, 1), replay: { state: 'done' } },
        letterOf(0, 2),
      ]);
    });

    it('say how far a replay is, and all of it survives a kill', async () => {
      await log.deadLetters.put([letterOf(0, 1), letterOf(2, 9)], CALL);
      const began = { state: 'began', partition: 3, end: 1_234 } as const;
      await log.deadLetters.mark({ partition: 0, offset: 1 }, began, CALL);
      await harness.kill();
      log = await harness.open();
      const stored = [{ ...letterOf(0, 1), replay: began }, letterOf(2, 9)];
      expect(await log.deadLetters.list(undefined, 100, CALL)).toEqual(stored);
      await log.deadLetters.mark({ partition: 0, offset: 1 }, { state: 'done' }, CALL);
      expect((await log.deadLetters.list(undefined, 1, CALL))[0]!.replay).toEqual({ state: 'done' });
    });

    it('that are not there cannot be marked', async () => {
      const mark = log.deadLetters.mark({ partition: 0, offset: 1 }, { state: 'done' }, CALL);
      expect(await rejection(mark)).toMatchObject({ code: 'INVALID_ARGUMENT' });
    });
  });
}
