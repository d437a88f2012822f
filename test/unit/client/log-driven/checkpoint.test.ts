import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  checkLog,
  decodeCheckpoint,
  encodeCheckpoint,
  firstCheckpoint,
  lookBackStart,
  rulesFor,
} from '../../../../client/log-driven/checkpoint.js';

const wanted = { logId: 'log-a', version: 2, lookBack: 100 };
const id = Buffer.alloc(16, 7);

function checkpoint(change: Partial<Checkpoint> = {}): Checkpoint {
  return {
    logId: 'log-a',
    rules: [{ from: 0, version: 2, lookBack: 100, lookBackFrom: 0 }],
    committed: 500,
    producerId: id,
    end: undefined,
    owner: 'p1',
    beat: 9,
    ...change,
  };
}

describe('a checkpoint', () => {
  it('is what was written', () => {
    const mark = { offset: 499, digest: '1:x' };
    const kinds = [{}, { end: 700 }, { producerId: null, owner: '' }, { mark }];
    for (const one of kinds.map(checkpoint)) {
      expect(decodeCheckpoint(encodeCheckpoint(one))).toEqual(one);
    }
  });

  it('of a newer format, or of something else, is refused', () => {
    expect(() => decodeCheckpoint(Buffer.from([0xc0]))).toThrow(
      expect.objectContaining({ code: 'DATA_LOSS' }),
    );
    expect(() => decodeCheckpoint(Buffer.from([0x91, 9]))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_FORMAT' }),
    );
    const pendingWithoutId = encodeCheckpoint(checkpoint({ producerId: null, end: 700 }));
    expect(() => decodeCheckpoint(pendingWithoutId)).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });

  it('of a new log begins where the log does', () => {
    expect(firstCheckpoint(wanted, { start: 40, end: 90 })).toMatchObject({
      committed: 40,
      end: undefined,
      owner: '',
    });
  });
});

describe('the log of a checkpoint', () => {
  const bounds = { start: 400, end: 900 };
  const refusal = (change: Partial<Checkpoint>, log = bounds) => {
    try {
      checkLog(checkpoint(change), wanted, log);
      return 'fine';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('must be the same log, hold what was not counted, and reach as far as was counted', () => {
    expect(refusal({})).toBe('fine');
    expect(refusal({ logId: 'log-b' })).toBe('FAILED_PRECONDITION');
    expect(refusal({}, { start: 501, end: 900 })).toBe('DATA_LOSS');
    expect(refusal({}, { start: 0, end: 499 })).toBe('FAILED_PRECONDITION');
    expect(refusal({ end: 700 }, { start: 0, end: 699 })).toBe('FAILED_PRECONDITION');
    expect(refusal({ end: 700 }, { start: 500, end: 700 })).toBe('fine');
  });

  it('is not counted by software older than its rule', () => {
    expect(refusal({ rules: [{ from: 0, version: 3, lookBack: 1, lookBackFrom: 0 }] })).toBe(
      'FAILED_PRECONDITION',
    );
  });
});

describe('rules', () => {
  it('stay while nothing changed', () => {
    const same = checkpoint();
    expect(rulesFor(same, wanted, { start: 0, end: 900 })).toBe(same.rules);
  });

  it('of another window begin at what is committed, and look back no farther than the former one did', () => {
    const rules = rulesFor(checkpoint(), { ...wanted, lookBack: 300 }, { start: 0, end: 900 });
    expect(rules.at(-1)).toEqual({ from: 500, version: 2, lookBack: 300, lookBackFrom: 400 });
    expect(lookBackStart(rules.at(-1)!, 500)).toBe(400);
    expect(lookBackStart(rules.at(-1)!, 2_000)).toBe(1_700);
  });
});
