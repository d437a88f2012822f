import { describe, expect, it } from 'vitest';
import { Coalescer } from '../../proto/coalesce.js';

function setUp(maxInFlight = 1) {
  const sent: { items: readonly number[]; timeoutMs: number; end(error?: Error): void }[] = [];
  let nowMs = 0;
  const coalescer = new Coalescer<number, string>({
    clock: { wallMs: () => 0, monotonicMs: () => nowMs },
    maxInFlight,
    maxItems: 4,
    send: (items, timeoutMs) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(items.map((item) => `a${item}`)));
        sent.push({ items, timeoutMs, end });
      }),
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    coalescer,
    sent,
    settle,
    at: (ms: number) => {
      nowMs = ms;
    },
  };
}

describe('coalescing calls', () => {
  it('asks an idle place at once, and what comes meanwhile in one call, each getting its own answers', async () => {
    const { coalescer, sent, settle } = setUp();
    const answers = [
      coalescer.ask([1], 100),
      coalescer.ask([2, 3], 100),
      coalescer.ask([4], 100),
      coalescer.ask([5, 6], 100),
    ];
    expect(sent.map((call) => call.items)).toEqual([[1]]);
    sent[0]!.end();
    await settle();
    expect(sent.map((call) => call.items)).toEqual([[1], [2, 3, 4]]); // four items at most
    sent[1]!.end();
    await settle();
    sent[2]!.end();
    expect(await Promise.all(answers)).toEqual([['a1'], ['a2', 'a3'], ['a4'], ['a5', 'a6']]);
  });

  it('a failed call fails those that went in it, not those that wait', async () => {
    const { coalescer, sent, settle } = setUp();
    const [first, second] = [coalescer.ask([1], 100), coalescer.ask([2], 100)];
    sent[0]!.end(new Error('reset'));
    await expect(first).rejects.toThrow('reset');
    await settle();
    sent[1]!.end();
    expect(await second).toEqual(['a2']);
  });

  it('drops what waited past its deadline, and sends with the time that is left', async () => {
    const { coalescer, sent, settle, at } = setUp();
    const first = coalescer.ask([1], 1_000);
    const [late, later] = [coalescer.ask([2], 50), coalescer.ask([3], 400)];
    at(100);
    sent[0]!.end();
    await expect(late).rejects.toMatchObject({ code: 'READ_TIMEOUT' });
    await settle();
    expect(sent[1]).toMatchObject({ items: [3], timeoutMs: 300 });
    sent[1]!.end();
    expect(await Promise.all([first, later])).toEqual([['a1'], ['a3']]);
  });

  it('does not put a long wait under a short deadline', async () => {
    const { coalescer, sent, settle } = setUp();
    const answers = [coalescer.ask([1], 100), coalescer.ask([2], 100), coalescer.ask([3], 1_000)];
    sent[0]!.end();
    await settle();
    expect(sent[1]!.items).toEqual([2]);
    sent[1]!.end();
    await settle();
    sent[2]!.end();
    expect(await Promise.all(answers)).toEqual([['a1'], ['a2'], ['a3']]);
  });
});
