import { describe, expect, it } from 'vitest';
import { firstCheckpoint } from '../../../../client/log-driven/checkpoint.js';
import { checkMark } from '../../../../client/log-driven/mark.js';
import type { LogSource } from '../../../../client/log-driven/source.js';

const bounds = { start: 10, end: 100 };
const CALL = { timeoutMs: 1_000 };

/** Record 42 says what it is given; the others do not matter. */
function logWith(record: string, digest?: (record: string) => string): LogSource<string> {
  return {
    logId: 'log-a',
    bounds: async () => bounds,
    async read(from) {
      if (from < bounds.start) throw new Error('trimmed');
      const records = [42, 43].filter((offset) => offset >= from).map((offset) => ({ offset, record }));
      return { records, next: 44, end: bounds.end };
    },
    ...(digest !== undefined && { digest }),
  };
}

const same = (record: string) => `digest of ${record}`;
const at = (offset: number, digest: string) => ({
  ...firstCheckpoint({ logId: 'log-a', version: 1, lookBack: 0 }, bounds),
  mark: { offset, digest },
});

describe('the newest record that was counted', () => {
  it('is looked for in the log: another one in its place stops the partition', async () => {
    await checkMark(logWith('a', same), at(42, 'digest of a'), CALL);
    const refused = expect.objectContaining({ code: 'FAILED_PRECONDITION', retryable: false });
    await expect(checkMark(logWith('b', same), at(42, 'digest of a'), CALL)).rejects.toEqual(refused);
    await expect(checkMark(logWith('a', same), at(41, 'digest of a'), CALL)).rejects.toEqual(refused);
  });

  it('is not looked for when it was trimmed, when there was none, and when records cannot be told apart', async () => {
    await checkMark(logWith('b', same), at(9, 'digest of a'), CALL);
    await checkMark(logWith('b', same), { ...at(42, ''), mark: undefined }, CALL);
    await checkMark(logWith('b'), at(42, 'digest of a'), CALL);
  });
});
