import { describe, expect, it } from 'vitest';
import type { Clock, Timers } from '../../../ports/clock.js';
import { PendingReplies } from '../../../proto/pending.js';

/** A clock that is moved by hand, and the timers on it. */
function manual() {
  let nowMs = 0;
  let armed = 0;
  let timers: { atMs: number; run: () => void }[] = [];
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const port: Timers = {
    after(delayMs, run) {
      armed++;
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
    },
  };
  const advance = (toMs: number, options: { fire: boolean } = { fire: true }) => {
    nowMs = toMs;
    if (!options.fire) return;
    for (;;) {
      const due = timers.find((timer) => timer.atMs <= nowMs);
      if (!due) return;
      timers = timers.filter((timer) => timer !== due);
      due.run();
    }
  };
  return { clock, timers: port, advance, armedCount: () => armed, armedNow: () => timers.length };
}

function pendingOf(time: ReturnType<typeof manual>) {
  const expired: string[] = [];
  const pending = new PendingReplies<{ deadlineMs: number; name: string }>({
    clock: time.clock,
    timers: time.timers,
    onExpired: ({ name }) => expired.push(name),
  });
  return { pending, expired };
}

describe('requests in flight', () => {
  it('gives each its own, whatever the order of the replies', () => {
    const { pending } = pendingOf(manual());
    const ids = ['a', 'b', 'c'].map((name) => pending.add({ deadlineMs: 100, name }));
    expect(ids.toReversed().map((id) => pending.take(id)?.name)).toEqual(['c', 'b', 'a']);
    expect(pending.take(ids[0]!)).toBeUndefined();
    expect(pending.take(99)).toBeUndefined();
  });

  it('expires each at its deadline, the shorter of a later one first', () => {
    const time = manual();
    const { pending, expired } = pendingOf(time);
    pending.add({ deadlineMs: 100, name: 'long' });
    pending.add({ deadlineMs: 30, name: 'short' });
    time.advance(29);
    expect(expired).toEqual([]);
    time.advance(31);
    expect(expired).toEqual(['short']);
    time.advance(101);
    expect(expired).toEqual(['short', 'long']);
    expect(pending.size).toBe(0);
    expect(time.armedNow()).toBe(0);
  });

  it('arms one timer for a thousand requests', () => {
    const time = manual();
    const { pending } = pendingOf(time);
    for (let i = 0; i < 1_000; i++) pending.take(pending.add({ deadlineMs: 100 + i, name: '' }));
    expect(time.armedCount()).toBe(1);
  });

  it('does not take a reply after its deadline, even when the timer did not fire (a paused process)', () => {
    const time = manual();
    const { pending, expired } = pendingOf(time);
    const id = pending.add({ deadlineMs: 100, name: 'late' });
    time.advance(100, { fire: false });
    expect(pending.take(id)).toBeUndefined();
    expect(expired).toEqual(['late']);
    time.advance(200);
    expect(expired).toEqual(['late']);
  });

  it('forgets all when drained', () => {
    const time = manual();
    const { pending, expired } = pendingOf(time);
    pending.add({ deadlineMs: 100, name: 'a' });
    expect(pending.drain().map(({ name }) => name)).toEqual(['a']);
    time.advance(200);
    expect(expired).toEqual([]);
  });
});
