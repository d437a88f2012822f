import { Duplex } from 'node:stream';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { type OpenStreams, serveStream } from '../../../node/transport/served-stream.js';
import { until } from './fakes.js';

/** A served stream over a pipe in memory; answers are given by hand, replies taken by the test's reader. */
function served(options: { limitBytes: number; requestBytes: number; replyBytes: number }) {
  const replies: number[] = [];
  const held: (() => void)[] = [];
  const unread: (() => void)[] = [];
  let readsReplies = true;
  const call = new Duplex({
    objectMode: true,
    read() {},
    write(reply: number, _, done) {
      replies.push(reply);
      if (readsReplies) done();
      else unread.push(done);
    },
  });
  const streams: OpenStreams = new Set();
  serveStream(call as unknown as ServerDuplexStream<number, number>, {
    streams,
    limitBytes: options.limitBytes,
    requestBytes: () => options.requestBytes,
    replyBytes: () => options.replyBytes,
    answer: (request) =>
      new Promise((resolve) => held.push(() => resolve(request < 0 ? undefined : request))),
  });
  const stopReading = () => {
    readsReplies = false;
  };
  return { call, replies, held, unread, streams, stopReading };
}

/** Lets the stream deliver whatever it is going to deliver. */
async function settled(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('a served stream', () => {
  it('stops reading while requests in work are over the limit, and loses none', async () => {
    const { call, replies, held } = served({ limitBytes: 100, requestBytes: 40, replyBytes: 0 });
    for (let i = 0; i < 10; i++) call.push(i);
    await settled();
    expect(held).toHaveLength(3);
    for (let answered = 0; answered < 10; answered++) {
      await until(() => held.length > answered);
      expect(held.length - answered).toBeLessThanOrEqual(3);
      held[answered]!();
    }
    await until(() => replies.length === 10);
    expect(replies).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('stops reading while replies that the other side does not take are over the limit', async () => {
    const { call, held, unread, stopReading } = served({ limitBytes: 100, requestBytes: 1, replyBytes: 120 });
    stopReading();
    call.push(1);
    await until(() => held.length === 1);
    held[0]!();
    await until(() => unread.length === 1);
    call.push(2);
    await settled();
    expect(held).toHaveLength(1);
    unread[0]!();
    await until(() => held.length === 2);
  });

  it('sends nothing for an answer that nobody waits for', async () => {
    const { call, replies, held } = served({ limitBytes: 100, requestBytes: 1, replyBytes: 1 });
    call.push(-1);
    call.push(5);
    await until(() => held.length === 2);
    for (const answer of held) answer();
    await until(() => replies.length === 1);
    expect(replies).toEqual([5]);
  });

  it('ends when its asker has ended, or the server closes, but only after what is in work', async () => {
    for (const how of ['asker', 'server'] as const) {
      const { call, replies, held, streams } = served({ limitBytes: 100, requestBytes: 1, replyBytes: 1 });
      call.push(7);
      await until(() => held.length === 1);
      if (how === 'asker') call.push(null);
      else for (const finish of [...streams]) finish();
      await settled();
      expect(call.writableEnded).toBe(false);
      held[0]!();
      await until(() => call.writableEnded);
      expect(replies).toEqual([7]);
    }
  });

  it('forgets itself when it breaks, and drops late answers', async () => {
    const { call, replies, held, streams } = served({ limitBytes: 100, requestBytes: 1, replyBytes: 1 });
    call.push(7);
    await until(() => held.length === 1);
    call.destroy(new Error('reset'));
    await until(() => streams.size === 0);
    held[0]!();
    await settled();
    expect(replies).toEqual([]);
  });
});
