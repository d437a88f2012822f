import { describe, expect, it } from 'vitest';
import type { TallyringError } from '../../proto/errors.js';
import { SimNetwork } from './network.js';
import { SimProcess } from './process.js';
import { simPeers } from './rpc.js';
import { SeededRandom } from './seeded-random.js';
import { Trace } from './trace.js';
import { VirtualTime } from './virtual-time.js';

function setUp(serve?: (body: Buffer) => Promise<Buffer>) {
  const random = new SeededRandom(1);
  const time = new VirtualTime(random.fork('time'));
  const network = new SimNetwork({ time, random, trace: new Trace(time, false) });
  const [a, b] = [new SimProcess('a', time), new SimProcess('b', time)];
  const served: string[] = [];
  network.attach(a);
  network.attach(b, async (from, method, payload) => {
    served.push(`${from} ${method}`);
    return serve ? serve(payload) : Buffer.from(`re ${payload}`);
  });
  const call = (timeoutMs = 1_000) =>
    network.call({
      from: a,
      to: 'b',
      method: 'ping',
      payload: Buffer.from('ping'),
      timeoutMs,
      timedOut: () => Object.assign(new Error('late'), { code: 'WRITE_TIMEOUT' }) as TallyringError,
    });
  return { time, network, a, b, served, call };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error: TallyringError) => `${error.code} ${error.mayHaveApplied ?? ''}`.trim(),
  );

describe('the simulated network', () => {
  it('carries a request and its reply', async () => {
    const { time, call } = setUp();
    expect(String(await time.settle(call()))).toBe('re ping');
    expect(time.nowMs).toBeLessThan(3);
  });

  it('refuses at once what is dead, resets what dies meanwhile, and is silent behind a partition', async () => {
    const { time, network, b, call } = setUp(() => new Promise(() => {}));
    const resetting = codeOf(call());
    time.after(5, () => {
      b.kill();
      network.died(b);
    });
    expect(await time.settle(resetting)).toBe('UNAVAILABLE true');
    expect(time.nowMs).toBeLessThan(10);
    expect(await time.settle(codeOf(call()))).toBe('UNAVAILABLE false');
    network.block('b', 'a');
    const startMs = time.nowMs;
    expect(await time.settle(codeOf(call(700)))).toBe('WRITE_TIMEOUT');
    expect(time.nowMs - startMs).toBe(700);
  });

  it('lets messages of a one-way partition through in one direction only', async () => {
    const { time, network, served, call } = setUp();
    network.block('b', 'a');
    expect(await time.settle(codeOf(call(100)))).toBe('WRITE_TIMEOUT');
    expect(served).toHaveLength(1);
    network.unblock('b', 'a');
    network.block('a', 'b');
    expect(await time.settle(codeOf(call(100)))).toBe('WRITE_TIMEOUT');
    expect(served).toHaveLength(1);
  });

  it('hands a paused process its messages when it goes on, and a killed one none', async () => {
    const { time, b, served, call } = setUp();
    b.pause();
    const answer = codeOf(call());
    await time.run(500);
    expect(served).toHaveLength(0);
    b.resume();
    expect(await time.settle(answer)).toBe('ok');
    expect(time.nowMs).toBeLessThan(510);
    b.pause();
    const lost = codeOf(call(300));
    await time.run(time.nowMs + 100);
    b.kill();
    b.resume();
    expect(await time.settle(lost)).toBe('WRITE_TIMEOUT');
    expect(served).toHaveLength(1);
  });

  it('loses, duplicates and bounds', async () => {
    const { time, network, served, call } = setUp();
    network.faults = { ...network.faults, duplicateRate: 1 };
    await time.settle(call());
    await time.run(time.nowMs + 10);
    expect(served).toHaveLength(2);
    network.faults = { ...network.faults, lossRate: 1 };
    expect(await time.settle(codeOf(call(50)))).toBe('WRITE_TIMEOUT');
    network.maxQueueBytes = 6;
    const both = [codeOf(call(50)), codeOf(call(50))];
    expect(await time.settle(Promise.all(both))).toEqual(['WRITE_TIMEOUT', 'OVERLOADED false']);
  });

  it('keeps a link in order unless it may reorder', async () => {
    const orderOf = async (reorder: boolean) => {
      const seen: number[] = [];
      const { time, network, a } = setUp(async (payload) => {
        seen.push(Number(payload));
        return payload;
      });
      network.faults = { ...network.faults, maxDelayMs: 50, reorder };
      for (let i = 0; i < 20; i++) {
        const timedOut = () => new Error('late') as TallyringError;
        const payload = Buffer.from(String(i));
        void network.call({ from: a, to: 'b', method: 'n', payload, timeoutMs: 1_000, timedOut });
      }
      await time.run(1_000);
      return seen;
    };
    const sorted = Array.from({ length: 20 }, (_, i) => i);
    expect(await orderOf(false)).toEqual(sorted);
    const shuffled = await orderOf(true);
    expect(shuffled).not.toEqual(sorted);
    expect(shuffled.sort((x, y) => x - y)).toEqual(sorted);
  });

  it('notices refusals as peers do, and reconnects in the background', async () => {
    const { time, network, a, b } = setUp();
    const peers = simPeers(network, a);
    b.kill();
    network.died(b);
    const asked = peers.request('b', 'remembered', { storeId: 'x' }, 1_000);
    expect(await time.settle(codeOf(asked))).toBe('UNAVAILABLE false');
    expect(peers.isConnected('b')).toBe(false);
    network.attach(new SimProcess('b', time), async (_from, _method, payload) => payload);
    await time.run(time.nowMs + 1_000);
    expect(peers.isConnected('b')).toBe(true);
  });
});
