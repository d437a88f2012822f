import { describe, expect, it } from 'vitest';
import { isClean, type RecountEnd, reportJson, reportText } from '../../../cli/recount-report.js';
import { errorToData, TallyringError } from '../../../proto/errors.js';
import {
  emptyReport,
  type Finding,
  type PartitionReport,
} from '../../../services/processing/recount/findings.js';

const value = (count: number, sum: number) => ({ count, sum, min: 1, max: 9 });
const finding: Finding = {
  ...{ partition: 1, key: 'v', eventType: 'view', granularity: 'hour', window: 491_000 },
  ...{ is: value(27, 810), shouldBe: value(20, 110), outcome: 'repaired', reasons: [] },
  replicas: [
    { nodeId: 'n1', value: value(20, 110) },
    { nodeId: 'n2', value: value(27, 810) },
    { nodeId: 'n3', value: value(20, 110) },
  ],
};

function end(change: Partial<PartitionReport> = {}, more: Partial<RecountEnd> = {}): RecountEnd {
  const report = { ...emptyReport(1), committed: 1_500, records: 1_500, cells: 60, ...change };
  return { reports: [report], shown: [], interrupted: false, repair: true, ...more };
}

const found = (outcomes: Partial<PartitionReport['found']>) => ({
  found: { wrong: 0, repaired: 0, equalized: 0, left: 0, ...outcomes },
});

describe('what recount prints', () => {
  it('says where a cell was wrong, how, and what was done', () => {
    const text = reportText(end(found({ repaired: 2 }), { shown: [finding] }));
    expect(text.split('\n').slice(1)).toEqual([
      'v    view  hour 2026-01-05T08:00:00.000Z  27 (sum 810, 1…9)  20 (sum 110, 1…9)  n1, n3: 20 (sum 110, 1…9); n2: 27 (sum 810, 1…9)  repaired',
      '… and 1 more cell; --limit shows so many',
      '1,500 records read, 60 cells compared: 2 repaired',
      '',
    ]);
  });

  it('says what was not recounted, and why', () => {
    const refusal = errorToData(new TallyringError('DATA_LOSS', 'the log starts at 9'));
    expect(reportText(end({ refusal }))).toContain('DATA_LOSS: the log starts at 9');
    expect(reportText(end())).toContain('60 cells compared: nothing is wrong\n');
    expect(reportText(end({ refusal }))).toContain('60 cells compared: nothing of that is wrong\n');
    expect(reportText(end({ refusal, cells: 0 }))).toContain('0 cells compared: nothing can be said\n');
    const text = reportText(end({ notWhole: 4, undecided: 3, wholeAfterMs: Date.UTC(2026, 0, 5), mixed: 1 }));
    expect(text).toContain('4 cells were not compared');
    expect(text).toContain('after 2026-01-05T00:00:00.000Z');
    expect(text).toContain('3 records could not be decided');
    expect(text).toContain('1 cell other producers counted too');
    expect(reportText(end({ committed: 0 }))).toContain('partition 1: nothing was ever counted');
  });

  it('is clean when nothing is left', () => {
    expect(isClean(end(found({ repaired: 3, equalized: 1 })))).toBe(true);
    expect(isClean(end(found({ left: 1 })))).toBe(false);
    expect(isClean(end(found({ wrong: 1 })))).toBe(false);
    expect(isClean(end({}, { interrupted: true }))).toBe(false);
    const refusal = errorToData(new TallyringError('FENCED', 'another one owns it'));
    expect(isClean(end({ refusal }))).toBe(false);
  });

  it('says the same as JSON, integers beyond 2^53 in digits', () => {
    const huge = { ...finding, is: { ...value(3, 0), sum: 2n ** 60n } };
    expect(
      JSON.parse(JSON.stringify(reportJson(end(found({ repaired: 1 }), { shown: [huge] })))),
    ).toMatchObject({
      clean: true,
      totals: { repaired: 1, records: 1_500, refused: 0 },
      found: [
        {
          ...{ key: 'v', granularity: 'hour', start: '2026-01-05T08:00:00.000Z', outcome: 'repaired' },
          ...{ is: { count: 3, sum: '1152921504606846976' }, replicas: { n2: { count: 27 } } },
        },
      ],
    });
  });
});
