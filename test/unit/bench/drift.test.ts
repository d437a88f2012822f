import { describe, expect, it } from 'vitest';
import { type Calls, compare } from '../../../bench/drift/comparison.js';
import { feed } from '../../../bench/drift/feed.js';
import { Killing, killsOf } from '../../../bench/drift/kills.js';
import { verdict } from '../../../bench/drift/report.js';
import { isKept, type Outcome } from '../../../bench/drift/run.js';

const calls = (acknowledged: number, refused = 0, inDoubt = 0): Calls => ({ acknowledged, refused, inDoubt });

/** Key by key: [truth, calls, found]. */
function compared(keys: Record<string, [number | undefined, Calls | undefined, number | undefined]>) {
  const maps = [new Map<string, number>(), new Map<string, Calls>(), new Map<string, number>()] as const;
  for (const [key, [truth, made, found]] of Object.entries(keys)) {
    if (truth !== undefined) maps[0].set(key, truth);
    if (made !== undefined) maps[1].set(key, made);
    if (found !== undefined) maps[2].set(key, found);
  }
  return compare(...maps);
}

describe('compare', () => {
  it('finds nothing where every total is true', () => {
    expect(compared({ a: [3, calls(3), 3], b: [1, calls(1), 1] })).toEqual({
      tooMany: { events: 0, keys: 0 },
      lost: { events: 0, keys: 0 },
      appliedAfterAll: 0,
      outsideAnswers: { events: 0, keys: 0 },
    });
  });

  it('a retried call that had been applied is an event too many, as its answer allowed', () => {
    const drift = compared({
      a: [10, calls(10, 0, 3), 12],
      b: [5, calls(5, 0, 1), 5],
      c: [2, calls(2, 0, 1), 3],
    });
    expect(drift.tooMany).toEqual({ events: 3, keys: 2 });
    expect(drift.lost).toEqual({ events: 0, keys: 0 });
    expect(drift.appliedAfterAll).toBe(3);
    expect(drift.outsideAnswers).toEqual({ events: 0, keys: 0 });
  });

  it('a failed call that is not retried is an event lost, unless it had been applied', () => {
    const drift = compared({ a: [10, calls(6, 1, 3), 8], b: [2, calls(0, 0, 2), undefined] });
    expect(drift.lost).toEqual({ events: 4, keys: 2 });
    expect(drift.appliedAfterAll).toBe(2);
    expect(drift.outsideAnswers).toEqual({ events: 0, keys: 0 });
  });

  it('too many in one key do not make up for too few in another', () => {
    const drift = compared({ a: [5, calls(5, 0, 1), 6], b: [5, calls(4, 0, 1), 4] });
    expect([drift.tooMany.events, drift.lost.events]).toEqual([1, 1]);
  });

  it('sees what no answer allows: acknowledged and gone, refused and counted, keys from nowhere', () => {
    expect(compared({ a: [5, calls(5), 3] }).outsideAnswers).toEqual({ events: 2, keys: 1 });
    expect(compared({ a: [5, calls(4, 1), 5] }).outsideAnswers).toEqual({ events: 1, keys: 1 });
    expect(compared({ a: [undefined, undefined, 7] })).toMatchObject({
      tooMany: { events: 7, keys: 1 },
      outsideAnswers: { events: 7, keys: 1 },
    });
  });
});

describe('verdict', () => {
  const outcome = (promise: Outcome['contestant']['promise'], drift: Outcome['drift']) =>
    ({ contestant: { name: '', setup: '', retries: false, promise }, drift }) as Outcome;
  const inDoubtApplied = compared({ a: [5, calls(3, 0, 2), 4] });
  const acknowledgedLost = compared({ a: [5, calls(5), 4] });

  it('holds the SDK to exactness, plain calls to their answers, and a peer to nothing', () => {
    expect(isKept(outcome('exact', inDoubtApplied))).toBe(false);
    expect(isKept(outcome('within the answers', inDoubtApplied))).toBe(true);
    expect(isKept(outcome('within the answers', acknowledgedLost))).toBe(false);
    expect(verdict(outcome('exact', inDoubtApplied))).toBe('PROMISE BROKEN');
    expect(verdict(outcome(undefined, inDoubtApplied))).toBe('drifts');
    expect(verdict(outcome(undefined, acknowledgedLost))).toBe('drifts, beyond its answers');
    expect(verdict(outcome('exact', compared({ a: [1, calls(1), 1] })))).toBe('exact');
  });
});

describe('Killing', () => {
  it('kills at the same events, each node once, and never two at once', async () => {
    const log: string[] = [];
    const starts: (() => void)[] = [];
    const system = {
      kill: (node: number) => log.push(`kill ${node}`),
      start: (node: number) =>
        new Promise<void>((resolve) => {
          log.push(`start ${node}`);
          starts.push(resolve);
        }),
    };
    const kills = killsOf(100);
    expect(kills.map(({ node }) => node).sort()).toEqual([1, 2, 3]);
    const killing = new Killing(system, kills, 0);
    expect(killing.before(kills[0]!.atEvent - 1)).toBeUndefined();
    await killing.before(kills[0]!.atEvent);
    const second = killing.before(kills[1]!.atEvent)!;
    await expect.poll(() => starts.length).toBe(1);
    expect(log).toEqual(['kill 1', 'start 1']);
    starts[0]!();
    await second;
    expect(log).toEqual(['kill 1', 'start 1', 'kill 2']);
  });

  it('a node that does not come back ends the run', async () => {
    const start = () => Promise.reject(new Error('does not start'));
    const killing = new Killing({ kill: () => {}, start }, [{ atEvent: 0, node: 1 }], 0);
    await killing.before(0);
    await expect(killing.allBack()).rejects.toThrow('does not start');
  });
});

describe('feed', () => {
  const events = Array.from({ length: 40 }, (_, index) => index);

  it('sends every event once, in order, within the bound of what is under way', async () => {
    const sent: number[] = [];
    let running = 0;
    let most = 0;
    const send = async (event: number) => {
      sent.push(event);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    await feed({ events, seconds: 0.001, inFlight: 3, before: () => undefined, send });
    expect(sent).toEqual(events);
    expect(running).toBe(0);
    expect(most).toBe(3);
  });

  it('waits where it is told to, and passes a failure on', async () => {
    const seen: string[] = [];
    const before = (index: number) =>
      index === 20 ? Promise.resolve().then(() => void seen.push('held')) : undefined;
    const send = async (event: number) => {
      seen.push(String(event));
      if (event === 30) throw new Error('broken');
    };
    await expect(feed({ events, seconds: 0.001, inFlight: 1, before, send })).rejects.toThrow('broken');
    expect(seen.indexOf('held')).toBe(20);
    expect(seen.at(-1)).toBe('30');
  });
});
