import { describe, expect, it } from 'vitest';
import type { LogCounterStatus } from '../../../../client/log-driven/log-counter.js';
import { TallyringError } from '../../../../proto/errors.js';
import { healthOf } from '../../../../services/processing/health.js';

const COUNTS = { counted: 5, duplicates: 1, rejected: 0 };
const owner = (committed: number, end: number): LogCounterStatus => ({
  ...{ state: 'owner' as const, committed, end },
  ...{ holder: undefined, error: undefined },
});
const standby = (change: Partial<LogCounterStatus> = {}): LogCounterStatus => ({
  ...{ state: 'standby' as const, committed: undefined, end: undefined },
  ...{ holder: undefined, error: undefined, ...change },
});
const told = (statuses: [number, LogCounterStatus][], ends: [number, number][] = []) =>
  healthOf({
    name: 'p1',
    counts: COUNTS,
    members: ['p1'],
    memberError: undefined,
    statuses: new Map(statuses),
    ends: new Map(ends),
  });

describe('the health of a processing instance', () => {
  it('tells how far its partitions are behind, by the newest end that is known', () => {
    const health = told(
      [
        [1, owner(10, 10)],
        [0, owner(4, 6)],
      ],
      [[1, 25]],
    );
    expect(health).toMatchObject({ serving: true, lag: 17, message: 'counts 2 partitions', counted: 5 });
    expect(health.partitions.map(({ partition }) => partition)).toEqual([0, 1]);
  });

  it('does not tell a lag while it does not own all that is its own', () => {
    expect(
      told([
        [0, owner(4, 4)],
        [1, standby()],
      ]),
    ).toMatchObject({ lag: null, message: 'owns 1 of its 2 partitions' });
    expect(told([])).toMatchObject({ lag: null, message: 'owns no partition' });
  });

  it('says whether it counts all of its share', () => {
    expect(told([[0, owner(4, 4)]]).counting).toBe(true);
    expect(told([]).counting).toBe(true);
    const waits: [number, LogCounterStatus][] = [
      [0, owner(4, 4)],
      [1, standby()],
    ];
    expect(told(waits).counting).toBe(false);
    const facts = { name: 'p1', counts: COUNTS, statuses: new Map(), ends: new Map() };
    const memberError = new TallyringError('FAILED_PRECONDITION', 'an instance named p1 runs already');
    expect(healthOf({ ...facts, members: [], memberError: undefined }).counting).toBe(false);
    expect(healthOf({ ...facts, members: ['p1'], memberError }).counting).toBe(false);
  });

  it('says what holds a partition up, and that the log still takes events', () => {
    const error = new TallyringError('UNAVAILABLE', '1 live replicas, 2 required');
    const waiting = told([[0, { ...owner(4, 9), error }]]);
    expect(waiting).toMatchObject({ serving: true, lag: 5, message: expect.stringContaining('2 required') });
    expect(waiting.message).toMatch(/^partition 0 waits and tries again, 5 events behind: /);
    const several = told([
      [0, { ...owner(4, 4), error }],
      [1, { ...owner(4, 5), error }],
      [2, owner(4, 9)],
    ]);
    expect(several.message).toMatch(/^partition 1 waits and tries again, 1 event behind: /);
    const idle = told([[0, { ...owner(4, 4), error }]]);
    expect(idle.message).toMatch(/^partition 0 waits and tries again: 1 live/);
    const waits = told([[0, standby({ error })]]);
    expect(waits.message).toMatch(/^owns 0 of its 1 partitions; partition 0: 1 live/);
    const message = (change: Partial<LogCounterStatus>) => told([[2, standby(change)]]).message;
    expect(message({ holder: 'recount' })).toMatch(
      /partitions; partition 2 is being recounted, and its events wait$/,
    );
    expect(message({ holder: 'p2' })).toMatch(/partitions; p2 has partition 2 still$/);
    expect(message({ holder: 'p1' })).toMatch(/partitions; the former p1 has partition 2 still$/);
    const fenced = new TallyringError('FENCED', 'epoch 7 is over');
    expect(message({ error: fenced })).toBe('owns 0 of its 1 partitions');
    const stopped = told([[0, { ...owner(4, 9), state: 'stopped', error }]]);
    expect(stopped.message).toMatch(/^partition 0 is stopped: /);
  });
});
