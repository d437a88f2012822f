import { describe, expect, it } from 'vitest';
import type { RegisterRecord } from '../../../proto/register.js';
import { exchange, recovering, registersOf, replicas } from './register-world.js';
import { type Fate, World } from './world.js';

const NAME = 'checkpoint';
const bytes = (text: string) => Buffer.from(text);
const textOf = (record: RegisterRecord | undefined) =>
  record && `${record.epoch}.${record.write} ${record.value}`;

async function opened(count = 3, limits = {}) {
  const world = await World.open({ ...replicas(count), limits: { maxRequestMs: 1_000, ...limits } });
  const at = (id: string) => {
    const registers = registersOf(world, id);
    const settle = <T>(promise: Promise<T>) => world.time.settle(promise);
    return {
      acquire: (timeoutMs = 1_000) => settle(registers.acquire(NAME, timeoutMs)),
      read: (timeoutMs = 1_000) => settle(registers.read(NAME, timeoutMs)),
      write: async (held: RegisterRecord, value: string, timeoutMs = 1_000) => {
        const record = { ...held, write: held.write + 1, value: bytes(value) };
        await settle(registers.write(NAME, record, timeoutMs));
        return record;
      },
    };
  };
  /** Requests of these kinds reach these nodes alone. */
  const only = (kind: string, ...ids: string[]) => {
    world.fate = (call): Fate | undefined =>
      call.kind === kind && !ids.includes(call.to) ? 'refused' : undefined;
  };
  const healed = () => {
    world.fate = () => undefined;
  };
  const failing = (promise: Promise<unknown>) =>
    promise.then(
      () => 'done',
      (error) => error.code as string,
    );
  return { world, at, only, healed, failing };
}

describe('owners of registers', () => {
  it('take over the newest value, write, and are fenced by the next', async () => {
    const { at, failing } = await opened();
    expect(textOf(await at('a').read())).toBeUndefined();
    const first = await at('a').acquire();
    expect(first).toMatchObject({ write: 1, value: null });
    const written = await at('b').write(first, 'one');
    expect(textOf(await at('c').read())).toBe(textOf(written));
    const second = await at('c').acquire();
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(second).toMatchObject({ write: 1, value: bytes('one') });
    expect(await failing(at('a').write(written, 'two'))).toBe('FENCED');
    expect((await at('b').read())?.value).toEqual(bytes('one'));
  });

  it('may repeat a write through another node, late and out of order', async () => {
    const { at } = await opened();
    const owner = await at('a').acquire();
    const one = await at('a').write(owner, 'one');
    const two = await at('a').write(one, 'two');
    await at('b').write(owner, 'one');
    expect(textOf(await at('c').read())).toBe(textOf(two));
  });

  it('of two candidates at once, both get through one after the other', async () => {
    const { world } = await opened();
    const both = ['a', 'b'].map((id) => registersOf(world, id).acquire(NAME, 1_000));
    const epochs = (await world.time.settle(Promise.all(both))).map(({ epoch }) => epoch);
    expect(new Set(epochs).size).toBe(2);
  });

  it('refuse what is too large before anything is sent, and say when less than a quorum is live', async () => {
    const { world, at, failing } = await opened(3, { maxRegisterBytes: 4 });
    const owner = await at('a').acquire();
    const sent = world.calls.length;
    expect(await failing(at('a').write(owner, '12345'))).toBe('INVALID_ARGUMENT');
    world.down.add('b').add('c');
    for (const call of [at('a').acquire(), at('a').read(), at('a').write(owner, '1')]) {
      expect(await failing(call)).toBe('UNAVAILABLE');
    }
    expect(world.calls).toHaveLength(sent);
  });

  it('refuse a record that no acquisition gave, before anything is sent', async () => {
    const { world, at, failing } = await opened();
    const owner = await at('a').acquire();
    const sent = world.calls.length;
    const [first, second] = owner.quorum;
    const forged: Partial<RegisterRecord>[] = [
      { epoch: Number.MAX_SAFE_INTEGER }, // nobody could ever go above it, no re-entry either
      { quorum: [] },
      { quorum: [first!] },
      { quorum: [first!, first!] },
      { quorum: [first!, ['stranger', 1]] },
      { quorum: Array.from({ length: 5_000 }, (_, i) => [`node-${i}`, 1]) }, // more than repair can carry
    ];
    for (const part of forged) {
      expect(await failing(at('a').write({ ...owner, ...part }, 'forged'))).toBe('INVALID_ARGUMENT');
    }
    expect(world.calls).toHaveLength(sent);
    await at('a').write({ ...owner, quorum: [second!, first!] }, 'mine');
  });

  it('an answer after the deadline confirms nothing', async () => {
    const { world, at, failing } = await opened();
    const owner = await at('a').acquire();
    world.fate = ({ kind }) => (kind === 'registerAccept' ? { answerMs: 100 } : undefined);
    expect(await failing(at('a').write(owner, 'one', 50))).toBe('WRITE_TIMEOUT');
    expect((await at('b').read())?.value).toEqual(bytes('one')); // may have been applied, and was
  });

  it('an unconfirmed write that a later epoch did not see never comes back', async () => {
    const { world, at, only, healed, failing } = await opened();
    const first = await at('a').acquire();
    await at('a').write(first, 'one');
    only('registerAccept'); // at the owner's own node alone
    expect(await failing(at('a').write({ ...first, write: 2 }, 'lost'))).toBe('WRITE_TIMEOUT');
    healed();
    world.down.add('a');
    const second = await at('b').acquire();
    expect(second.value).toEqual(bytes('one'));
    world.down.clear();
    await world.time.settle(exchange(world, 'a', 'c')); // carried past every promise, in both directions
    expect((await at('a').read())?.value).toEqual(bytes('one'));
    expect((await at('c').acquire()).value).toEqual(bytes('one'));
  });

  it('a record that repair carried past a promise stands for nobody', async () => {
    const { world, at, only, healed, failing } = await opened();
    const first = await at('a').acquire();
    only('registerAccept');
    expect(await failing(at('a').write(first, 'half'))).toBe('WRITE_TIMEOUT');
    healed();
    // A candidate that nobody will ever hear of again promised at b and c; then a's record reaches c.
    for (const id of ['b', 'c'])
      await world.time.settle(world.node(id).registers.promise(NAME, first.epoch + 5));
    await world.time.settle(exchange(world, 'a', 'c'));
    // a and c hold it, and yet it may not be read as it is: b and another could decide without it.
    world.down.add('b');
    const seen = await at('a').read();
    world.down.clear();
    world.down.add('a');
    expect((await at('c').read())?.value).toEqual(seen?.value);
  });
});

describe('readers of registers', () => {
  /** b promised to a candidate that died, and c is down: a and b are the quorum. */
  it('get through with one node down after a candidate died in the middle', async () => {
    const { world, at } = await opened();
    const owner = await at('a').acquire();
    await at('a').write(owner, 'one');
    world.down.add('c');
    await world.time.settle(world.node('b').registers.promise(NAME, owner.epoch + 5));
    expect((await at('a').read())?.value).toEqual(bytes('one'));
  });

  it('get through when some replicas, less than a quorum, were not told of a re-entry', async () => {
    const { world, at } = await opened(5);
    await at('b').write(await at('b').acquire(), 'one');
    world.down.add('e');
    const node = await world.restart('a');
    world.node('e').whole = false; // nobody hears of the re-entry there
    await world.time.settle(recovering(node).done);
    world.node('e').whole = true;
    world.down.clear();
    world.down.add('a').add('b');
    expect((await at('c').read())?.value).toEqual(bytes('one'));
  });

  it('leave an owner alone that can write', async () => {
    const { world, at } = await opened();
    const owner = await at('a').acquire();
    await world.time.settle(world.node('b').registers.promise(NAME, owner.epoch + 5));
    for (let i = 0; i < 5; i++) expect(textOf(await at('c').read())).toBe(`${owner.epoch}.1 null`);
    await at('a').write(owner, 'mine');
  });

  it('see what was read before, whoever answers', async () => {
    const { world, at, only, healed, failing } = await opened();
    const owner = await at('a').acquire();
    only('registerAccept', 'b');
    world.down.add('c');
    await at('a').write(owner, 'one'); // at a and b
    world.down.clear();
    only('registerAccept');
    expect(await failing(at('a').write({ ...owner, write: 2 }, 'two'))).toBe('WRITE_TIMEOUT'); // at a alone
    healed();
    world.down.add('b');
    expect((await at('c').read())?.value).toEqual(bytes('two'));
    world.down.clear();
    world.down.add('a');
    expect((await at('b').read())?.value).toEqual(bytes('two'));
  });
});
