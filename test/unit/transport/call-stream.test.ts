import { Duplex } from 'node:stream';
import type { Client } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { streamedCalls } from '../../../client/transport/streamed-calls.js';
import { TallyringError } from '../../../proto/errors.js';
import { Malformed } from '../../../proto/load.js';
import type { WireQueryReply, WireQueryRequest } from '../../../proto/messages.js';
import { rejection, until } from './fakes.js';

/** Streams of calls over pipes in memory, with a clock that the test moves. */
function streamed() {
  let nowMs = 0;
  let timers: { atMs: number; callback: () => void }[] = [];
  const streams: { sent: WireQueryRequest[]; ended: boolean; reply(reply: unknown): void }[] = [];
  const client = {
    makeBidiStreamRequest() {
      const stream = { sent: [] as WireQueryRequest[], ended: false, reply: (_: unknown) => {} };
      const call = new Duplex({
        objectMode: true,
        read() {},
        write(request: WireQueryRequest, _, done) {
          stream.sent.push(request);
          done();
        },
        final(done) {
          stream.ended = true;
          done();
        },
      });
      stream.reply = (reply) => call.push(reply);
      streams.push(stream);
      return Object.assign(call, { cancel: () => call.destroy() });
    },
  };
  const calls = streamedCalls({
    client: client as unknown as Client,
    address: 'n1:1',
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    timers: {
      after(delayMs, callback) {
        const timer = { atMs: nowMs + delayMs, callback };
        timers.push(timer);
        return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
      },
    },
  });
  const pass = (ms: number) => {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs++;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { callback } of due) callback();
    }
  };
  const get = (timeoutMs: number) => calls.get([{ key: 'k', eventType: 'v' }], 'ONE', { timeoutMs });
  return { calls, streams, pass, get };
}

const replyTo = (id: number): WireQueryReply => ({
  id,
  outcomes: [{ value: { count: '2', sum: '3' } }],
  stats: [],
});
const answer = [{ ok: { count: 2, sum: 3, min: null, max: null } }];

it('takes series of two thousand points in all, and leaves longer ones to calls', () => {
  const { calls } = streamed();
  const query = { key: 'k', eventType: 'v', startMs: 0, endMs: 86_400_000 };
  const minutes = { ...query, granularity: 'minute' as const };
  expect(calls.areShort([query, { ...query, granularity: 'total' }, minutes])).toBe(true);
  expect(calls.areShort([minutes, minutes])).toBe(false);
});

describe('a stream of numbered calls', () => {
  it('is ended when nobody used it for a while, which a call in work is not, and opened again', async () => {
    const { streams, pass, get } = streamed();
    const slow = get(9_000);
    pass(5_000);
    expect(streams).toHaveLength(1);
    expect(streams[0]!.ended).toBe(false);
    streams[0]!.reply(replyTo(streams[0]!.sent[0]!.id));
    expect(await slow).toEqual(answer);
    pass(2_000);
    await until(() => streams[0]!.ended);
    const next = get(9_000);
    expect(streams).toHaveLength(2);
    streams[1]!.reply(replyTo(streams[1]!.sent[0]!.id));
    expect(await next).toEqual(answer);
  });

  it('keeps one stream under calls that come again and again', async () => {
    const { streams, pass, get } = streamed();
    for (let i = 0; i < 20; i++) {
      const call = get(9_000);
      streams[0]!.reply(replyTo(streams[0]!.sent[i]!.id));
      expect(await call).toEqual(answer);
      pass(700);
    }
    expect(streams).toHaveLength(1);
    expect(streams[0]!.ended).toBe(false);
  });

  it('fails only the call whose reply is wrong or missing', async () => {
    const { streams, pass, get } = streamed();
    const calls = [get(100), get(9_000), get(9_000), get(9_000)];
    const outcomes = Promise.allSettled(calls);
    const [stream] = streams;
    const ids = stream!.sent.map(({ id }) => id);
    stream!.reply(new Malformed(new TallyringError('INVALID_ARGUMENT', 'cut short')));
    stream!.reply({ id: ids[1], outcomes: [{}] });
    stream!.reply({ id: ids[2], outcomes: [] });
    stream!.reply(replyTo(4_000));
    stream!.reply(replyTo(ids[3]!));
    expect(await calls[3]).toEqual(answer);
    pass(100);
    expect(await outcomes).toMatchObject([
      { reason: { code: 'READ_TIMEOUT', mayHaveApplied: false } },
      { reason: { code: 'INVALID_ARGUMENT' } },
      { reason: { code: 'INTERNAL' } },
      { value: answer },
    ]);
  });

  it('says of calls in work, when it is closed, whether they may have been applied', async () => {
    const { calls, get } = streamed();
    const read = rejection(get(9_000));
    const flush = rejection(
      calls.flush({ ringEpoch: 1, level: 'ONE', batch: Buffer.alloc(0) }, { timeoutMs: 9_000 }),
    );
    calls.close();
    expect(await read).toMatchObject({ code: 'CLOSED', mayHaveApplied: false });
    expect(await flush).toMatchObject({ code: 'CLOSED', mayHaveApplied: true });
  });
});
