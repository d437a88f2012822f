import { describe, expect, it } from 'vitest';
import { AppendGroups } from '../../../../services/log/append-groups.js';
import { encodeFrame, type Frame } from '../../../../services/log/frame.js';
import { rejection } from '../../../conformance/log/log-conformance.js';

/** Calls that the test answers. */
function groups(limits: { maxCallBytes?: number; maxWaitingBytes?: number } = {}) {
  const calls: { frames: readonly Frame[]; timeoutMs: number; end(error?: Error): void }[] = [];
  const clock = { nowMs: 0, wallMs: () => 0, monotonicMs: () => clock.nowMs };
  let next = 0;
  const sender = new AppendGroups({
    clock,
    maxInFlight: 1,
    maxCallBytes: 1_000,
    maxWaitingBytes: 1_000,
    ...limits,
    send: (frames, timeoutMs) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(frames.map(() => next++)));
        calls.push({ frames, timeoutMs, end });
      }),
  });
  return { calls, clock, sender };
}

const frame = (bytes = 10) => encodeFrame(0, [Buffer.alloc(bytes)]);
const CALL = { timeoutMs: 1_000 };
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('appends of one process', () => {
  it('go at once when nothing is on its way, and together when something is; each gets its own offsets', async () => {
    const { calls, sender } = groups();
    const first = sender.append([frame()], CALL);
    const second = sender.append([frame(), frame()], CALL);
    const third = sender.append([frame()], CALL);
    expect(calls.map(({ frames }) => frames.length)).toEqual([1]);
    calls[0]!.end();
    expect(await first).toEqual([0]);
    await turn();
    expect(calls.map(({ frames }) => frames.length)).toEqual([1, 3]);
    calls[1]!.end();
    expect(await Promise.all([second, third])).toEqual([[1, 2], [3]]);
  });

  it('share an error with those they went with, and no others', async () => {
    const { calls, sender } = groups({ maxCallBytes: 60 });
    const all = [1, 1, 1, 1].map(() =>
      sender.append([frame(16)], CALL).catch((error: Error) => error.message),
    );
    calls[0]!.end();
    await turn();
    expect(calls[1]!.frames.length).toBe(3);
    calls[1]!.end(new Error('reset'));
    expect(await Promise.all(all)).toEqual([[0], 'reset', 'reset', 'reset']);
  });

  it('are bounded in bytes while they wait, and leave when their time is over or their caller gives up', async () => {
    const { calls, clock, sender } = groups({ maxWaitingBytes: 50 });
    const first = sender.append([frame()], CALL);
    const giveUp = new AbortController();
    const given = rejection(sender.append([frame()], { ...CALL, signal: giveUp.signal }));
    const late = rejection(sender.append([frame()], { timeoutMs: 100 }));
    const kept = sender.append([frame()], CALL);
    expect(await rejection(sender.append([frame()], CALL))).toMatchObject({ code: 'OVERLOADED' });
    giveUp.abort(new Error('enough'));
    expect(await given).toEqual(new Error('enough'));
    clock.nowMs = 400;
    calls[0]!.end();
    await first;
    await turn();
    expect(await late).toMatchObject({ code: 'WRITE_TIMEOUT', mayHaveApplied: false });
    expect(calls[1]).toMatchObject({ timeoutMs: 600 });
    calls[1]!.end();
    expect(await kept).toEqual([1]);
  });
});
