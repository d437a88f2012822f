import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../client/options.js';
import { Register } from '../../../client/register.js';
import type { Topology } from '../../../client/topology.js';
import type { NodeConnection } from '../../../client/transport.js';
import { TallyringError } from '../../../proto/errors.js';
import type { RegisterRecord } from '../../../proto/register.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';
import { errorOf } from './open-client.js';

const RECORD: RegisterRecord = {
  epoch: 7,
  write: 1,
  quorum: [
    ['n1', 1],
    ['n2', 1],
  ],
  value: null,
};

/** What a node does with a call; it may throw, or take its time. */
type Answers = Partial<Pick<NodeConnection, 'acquireRegister' | 'writeRegister' | 'readRegister'>>;

function opened(answers: Answers, nodeIds = ['n1', 'n2', 'n3']) {
  const random = new SeededRandom(1);
  const time = new VirtualTime(random);
  const calls: { nodeId: string; timeoutMs: number; record?: RegisterRecord }[] = [];
  const failed: string[] = [];
  const connect = (nodeId: string) =>
    ({
      acquireRegister: (name, options) => {
        calls.push({ nodeId, timeoutMs: options.timeoutMs });
        return answers.acquireRegister!(name, options);
      },
      writeRegister: (name, record, options) => {
        calls.push({ nodeId, timeoutMs: options.timeoutMs, record });
        return answers.writeRegister!(name, record, options);
      },
      readRegister: (name, options) => {
        calls.push({ nodeId, timeoutMs: options.timeoutMs });
        return answers.readRegister!(name, options);
      },
    }) as NodeConnection;
  const nodes = nodeIds.map((nodeId) => ({ nodeId, connection: connect(nodeId) }));
  const topology = {
    replicasOfKey: () => ({ nodeIds }),
    choose: (_: unknown, { except }: { except: ReadonlySet<string> }) =>
      nodes.find(({ nodeId }) => !except.has(nodeId)),
    nodes: { succeeded: () => undefined, failed: (nodeId: string) => void failed.push(nodeId) },
  } as unknown as Topology;
  const limits = { ...DEFAULT_LIMITS, requestTimeoutMs: 2_000, attemptTimeoutMs: 100 };
  const register = new Register('checkpoint', {
    topology,
    clock: time.clock(),
    timers: time,
    random,
    limits,
  });
  const settle = <T>(promise: Promise<T>) => time.settle(promise, 10_000);
  return { time, register, calls, failed, nodes, settle };
}

const refusing = (
  code: ConstructorParameters<typeof TallyringError>[0],
  times = Number.POSITIVE_INFINITY,
) => {
  let left = times;
  return async () => {
    if (left-- > 0) throw new TallyringError(code, code);
    return RECORD;
  };
};

describe('a register of the SDK', () => {
  it('becomes owner, counts its writes, and knows what stands', async () => {
    const { register, settle, calls } = opened({
      acquireRegister: async () => ({ ...RECORD, value: Buffer.from('old') }),
      writeRegister: async () => undefined,
    });
    const owner = await settle(register.acquire());
    expect([owner.epoch, owner.value?.toString(), owner.fenced]).toEqual([7, 'old', false]);
    await settle(owner.write(Buffer.from('one')));
    await settle(owner.write(Buffer.from('two')));
    expect(owner.value?.toString()).toBe('two');
    expect(calls.slice(1).map(({ record }) => [record!.epoch, record!.write, String(record!.value)])).toEqual(
      [
        [7, 2, 'one'],
        [7, 3, 'two'],
      ],
    );
    expect(calls[2]!.record!.quorum).toEqual(RECORD.quorum);
  });

  it('repeats through another node what may go better there, the very same write', async () => {
    let attempts = 0;
    const { register, settle, calls } = opened({
      acquireRegister: refusing('NOT_WHOLE', 1),
      writeRegister: async () => {
        if (++attempts < 3) throw new TallyringError('WRITE_TIMEOUT', 'late');
      },
    });
    const owner = await settle(register.acquire());
    await settle(owner.write(Buffer.from('one')));
    const writes = calls.filter(({ record }) => record !== undefined);
    expect(writes.map(({ nodeId }) => nodeId)).toEqual(['n1', 'n2', 'n3']);
    expect(new Set(writes.map(({ record }) => `${record!.write} ${record!.value}`))).toEqual(
      new Set(['2 one']),
    );
  });

  it.each([
    ['told so by a node', 0, 'UNAVAILABLE'],
    ['that kept silent all along', Number.POSITIVE_INFINITY, 'READ_TIMEOUT'],
  ])(
    'fails at its end with what it was %s, not with how the end cut it off',
    async (_name, silentFromMs, code) => {
      const { register, settle, time } = opened({
        readRegister: async (_register, { timeoutMs }) => {
          const isSilent = silentFromMs > 0 || timeoutMs < 100;
          if (isSilent) await new Promise<void>((resolve) => time.after(timeoutMs, resolve));
          if (isSilent) throw new TallyringError('READ_TIMEOUT', 'n1 did not answer in time');
          throw new TallyringError('UNAVAILABLE', '1 live replicas, 2 required', { required: 2, live: 1 });
        },
      });
      const error = await settle(errorOf(register.read()));
      expect(error).toMatchObject({ code });
      expect(error.message).toMatch(
        code === 'UNAVAILABLE' ? /, 2 required; a last attempt was cut off/ : /in time$/,
      );
      expect(time.clock().monotonicMs()).toBeGreaterThanOrEqual(2_000);
    },
  );

  it('does not say that an attempt was cut off which was answered', async () => {
    const { register, settle } = opened({ readRegister: refusing('NOT_WHOLE') });
    expect((await settle(errorOf(register.read()))).message).toBe('NOT_WHOLE');
  });

  it('gives a version one value, whatever becomes of the buffer that was handed over', async () => {
    const value = Buffer.from('one');
    let attempts = 0;
    const { register, settle, calls } = opened({
      acquireRegister: async () => RECORD,
      writeRegister: async () => {
        value.write('two');
        if (++attempts === 1) throw new TallyringError('WRITE_TIMEOUT', 'late');
      },
    });
    const owner = await settle(register.acquire());
    await settle(owner.write(value));
    expect(calls.slice(1).map(({ record }) => String(record!.value))).toEqual(['one', 'one']);
  });

  it('a write that timed out takes its number with it: the next has another', async () => {
    const { register, calls, settle } = opened({
      acquireRegister: async () => RECORD,
      writeRegister: async (_, { write }) => {
        if (write === 2) throw new TallyringError('WRITE_TIMEOUT', 'late');
      },
    });
    const owner = await settle(register.acquire());
    expect(await settle(errorOf(owner.write(Buffer.from('one'))))).toMatchObject({ code: 'WRITE_TIMEOUT' });
    expect(owner.value).toBeNull();
    await settle(owner.write(Buffer.from('two')));
    expect(calls.at(-1)!.record).toMatchObject({ write: 3, value: Buffer.from('two') });
  });

  it('of two writes at once the later stands, in whatever order they are confirmed', async () => {
    const { register, time, settle } = opened({
      acquireRegister: async () => RECORD,
      writeRegister: (_, { write }) => new Promise((resolve) => time.after(write === 2 ? 50 : 5, resolve)),
    });
    const owner = await settle(register.acquire());
    await settle(Promise.all([owner.write(Buffer.from('one')), owner.write(Buffer.from('two'))]));
    expect(owner.value?.toString()).toBe('two');
  });

  it('is fenced once and for all, and not asked again', async () => {
    const { register, calls, settle } = opened({
      acquireRegister: async () => RECORD,
      writeRegister: refusing('FENCED') as () => Promise<never>,
    });
    const owner = await settle(register.acquire());
    expect(await settle(errorOf(owner.write(Buffer.from('one'))))).toMatchObject({ code: 'FENCED' });
    expect(owner.fenced).toBe(true);
    const sent = calls.length;
    expect(await settle(errorOf(owner.write(Buffer.from('two'))))).toMatchObject({ code: 'FENCED' });
    expect(calls).toHaveLength(sent);
    expect(owner.value).toBeNull();
  });

  it.each([
    ['UNAVAILABLE', 'acquireRegister'],
    ['READ_TIMEOUT', 'readRegister'],
    ['OVERLOADED', 'acquireRegister'],
  ] as const)('ends at its deadline with %s when %s goes on failing', async (code, call) => {
    const { register, time, settle, calls } = opened({ [call]: refusing(code) });
    const ended =
      call === 'readRegister' ? register.read({ timeoutMs: 500 }) : register.acquire({ timeoutMs: 500 });
    expect(await settle(errorOf(ended))).toMatchObject({ code });
    expect(time.nowMs).toBeGreaterThan(400);
    expect(time.nowMs).toBeLessThan(1_500);
    expect(calls.every(({ timeoutMs }) => timeoutMs > 0 && timeoutMs <= 500)).toBe(true);
  });

  it('ends when the client was closed and there is no node to ask, or the caller gives up', async () => {
    const { register, nodes, settle, time } = opened({ acquireRegister: refusing('UNAVAILABLE') });
    const waiting = errorOf(register.acquire());
    await time.run(30);
    nodes.length = 0;
    expect(await settle(waiting)).toMatchObject({ code: 'CLOSED' });
    const aborted = AbortSignal.abort(new Error('enough'));
    expect(await settle(errorOf(register.read({ signal: aborted })))).toMatchObject({ message: 'enough' });
  });

  it('tells a register that nobody ever acquired from one without value', async () => {
    let held: RegisterRecord | undefined;
    const { register, settle } = opened({ readRegister: async () => held });
    expect(await settle(register.read())).toBeUndefined();
    held = RECORD;
    expect(await settle(register.read())).toEqual({ epoch: 7, value: null });
  });
});
