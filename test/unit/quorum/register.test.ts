import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  highestOf,
  isSettled,
  mayAccept,
  mayPromise,
  newestOf,
  promisedBy,
  type RegisterAnswer,
  takenOver,
} from '../../../node/quorum/register.js';
import { RegisterMemory } from '../../../node/quorum/register-memory.js';
import { checkEntry, mergeValues } from '../../../node/storage/kinds.js';
import { KIND, kindOfEntry, rowPrefix, sealValue, tokenOf, windowPrefix } from '../../../proto/entry.js';
import {
  decodeRegister,
  encodeRegister,
  isNewer,
  type RegisterRecord,
  registerKey,
  registerName,
  type StoreOf,
} from '../../../proto/register.js';
import { exchange, registersOf } from './register-world.js';
import { World } from './world.js';

const NAME = 'checkpoint';
const small = fc.integer({ min: 1, max: 4 });
const store = fc.tuple(fc.constantFrom('a', 'b', 'c'), small).map((pair): StoreOf => pair);
const record: fc.Arbitrary<RegisterRecord> = fc.record({
  epoch: fc.oneof(small, fc.constantFrom(127, 128, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER)),
  write: small,
  quorum: fc.array(store, { maxLength: 3 }),
  value: fc.oneof(
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  ),
});
const recordAt = (epoch: number, write = 1, quorum: StoreOf[] = []): RegisterRecord => ({
  epoch,
  write,
  quorum,
  value: Buffer.from(`${epoch}.${write}`),
});
const answer = (nodeId: string, promised: number, held?: RegisterRecord): RegisterAnswer => ({
  nodeId,
  agreed: true,
  promised,
  storeNumber: 1,
  record: held,
});

describe('the kind of registers', () => {
  const merged = (...records: RegisterRecord[]) => {
    const [first, ...others] = records.map((one) => encodeRegister(NAME, one));
    return others.reduce((held, incoming) => {
      const verdict = mergeValues(held.key, held.value, incoming.value);
      return verdict === 'incoming' || verdict === 'conflictIncoming' ? incoming : held;
    }, first!).value;
  };

  it('merges commutatively, associatively and idempotently, conflicts included', () => {
    fc.assert(
      fc.property(record, record, record, (a, b, c) => {
        expect(merged(a, b)).toEqual(merged(b, a));
        expect(merged(a, b, c)).toEqual(merged(c, b, a));
        expect(merged(a, b, c)).toEqual(merged(b, c, a));
        expect(merged(a, b, a, b)).toEqual(merged(a, b));
      }),
    );
  });

  it('keeps the newer version, by epoch first', () => {
    fc.assert(
      fc.property(record, record, (a, b) => {
        if (isNewer(a, b)) expect(decodeRegister(merged(a, b))).toEqual(a);
        expect(isNewer(a, b) && isNewer(b, a)).toBe(false);
      }),
    );
    expect(merged(recordAt(2, 1), recordAt(1, 9))).toEqual(encodeRegister(NAME, recordAt(2, 1)).value);
  });

  it('comes back from its bytes as it was, and names its register', () => {
    fc.assert(
      fc.property(record, fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }), (one, name) => {
        const entry = encodeRegister(name, one);
        expect(checkEntry(entry).kind).toBe(KIND.register);
        expect(kindOfEntry(entry.key)).toBe(KIND.register);
        expect(registerName(entry.key)).toBe(name);
        expect(decodeRegister(entry.value)).toEqual(one);
      }),
    );
  });

  const key = registerKey(NAME);
  const elsewhere = Buffer.concat([
    windowPrefix(rowPrefix({ key: NAME, eventType: 'view', granularity: 'total' }, 0, tokenOf(NAME)), 0),
    Buffer.from([KIND.register]),
  ]);
  const fields = encodeRegister(NAME, recordAt(1)).value.subarray(0, -8);
  it.each([
    ['no fields', { key, value: sealValue(key, Buffer.from([0x90])) }],
    ['epoch 0', encodeRegister(NAME, recordAt(0))],
    ['write 0', encodeRegister(NAME, recordAt(1, 0))],
    ['a fraction', encodeRegister(NAME, recordAt(1.5))],
    ['an unsafe epoch', encodeRegister(NAME, recordAt(2 ** 53))],
    ['a store without number', encodeRegister(NAME, recordAt(1, 1, [['a'] as unknown as StoreOf]))],
    ['a store number 0', encodeRegister(NAME, recordAt(1, 1, [['a', 0]]))],
    ['text as value', encodeRegister(NAME, { ...recordAt(1), value: 'text' as unknown as Buffer })],
    ['the key of a counter', { key: elsewhere, value: sealValue(elsewhere, fields) }],
    ['a flipped bit', { key, value: Buffer.concat([fields, Buffer.alloc(8, 1)]) }],
  ])('refuses %s', (_what, entry) => {
    expect(() => checkEntry(entry)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('the rules of a replica', () => {
  it('promises an epoch once, and none below what it holds', () => {
    expect(mayPromise({ promised: 3, record: undefined }, 3)).toBe(false);
    expect(mayPromise({ promised: 3, record: undefined }, 4)).toBe(true);
    // A record that came by repair binds as well.
    expect(mayPromise({ promised: 3, record: recordAt(7) }, 7)).toBe(false);
    expect(promisedBy({ promised: 3, record: recordAt(7) })).toBe(7);
  });

  it('takes a record of the epoch that it promised or a higher one, and of no store that is gone', () => {
    const numbers: Record<string, number> = { a: 2, b: 1 };
    const known = { self: 'a', numberOf: (id: string) => numbers[id] ?? 1 };
    const accepts = (promised: number, incoming: RegisterRecord) =>
      mayAccept({ promised, record: undefined }, incoming, known);
    expect(accepts(5, recordAt(4))).toBe(false);
    expect([accepts(5, recordAt(5)), accepts(5, recordAt(6))]).toEqual([true, true]);
    expect(
      accepts(
        5,
        recordAt(5, 1, [
          ['a', 2],
          ['b', 1],
        ]),
      ),
    ).toBe(true);
    expect(accepts(5, recordAt(5, 1, [['a', 1]]))).toBe(false);
    expect(accepts(5, recordAt(5, 1, [['a', 3]]))).toBe(false); // no store of its own that it knows of
    numbers.b = 2;
    expect([accepts(5, recordAt(5, 1, [['b', 1]])), accepts(5, recordAt(5, 1, [['b', 3]]))]).toEqual([
      false,
      true,
    ]);
  });

  it('a new owner takes over the newest record, and names who promised', () => {
    const promises = [answer('a', 9, recordAt(2, 8)), answer('b', 9, recordAt(3, 1)), answer('c', 9)];
    expect(takenOver(9, promises)).toEqual({
      epoch: 9,
      write: 1,
      quorum: [
        ['a', 1],
        ['b', 1],
        ['c', 1],
      ],
      value: Buffer.from('3.1'),
    });
    expect(takenOver(1, []).value).toBeNull();
    expect(newestOf(promises)).toEqual(recordAt(3, 1));
    expect(highestOf([answer('a', 4), answer('b', 2, recordAt(7))])).toBe(7);
    expect(highestOf([])).toBe(0);
  });

  it('a reader believes a quorum that agrees, and none of which promised beyond', () => {
    expect(isSettled([answer('a', 9), answer('b', 0)])).toBe(true);
    expect(isSettled([answer('a', 3, recordAt(3)), answer('b', 1, recordAt(3))])).toBe(true);
    expect(isSettled([answer('a', 3, recordAt(3)), answer('b', 3)])).toBe(false);
    expect(isSettled([answer('a', 3, recordAt(3)), answer('b', 3, recordAt(3, 2))])).toBe(false);
    expect(isSettled([answer('a', 3, recordAt(3)), answer('b', 4, recordAt(3))])).toBe(false);
  });
});

describe('a replica of registers', () => {
  async function one(options: Parameters<typeof World.open>[0] = {}) {
    const world = await World.open(options);
    const { registers } = world.node('a');
    const settle = <T>(promise: Promise<T>) => world.time.settle(promise);
    return { world, registers, settle };
  }

  it('answers what is decided together in order, each on what came before', async () => {
    const { registers, settle } = await one();
    const answers = await settle(
      Promise.all([
        registers.promise(NAME, 5),
        registers.accept(NAME, recordAt(4)),
        registers.accept(NAME, recordAt(6)),
        registers.promise(NAME, 6),
        registers.promise('other', 1),
      ]),
    );
    expect(answers.map(({ agreed }) => agreed)).toEqual([true, false, true, false, true]);
  });

  it('remembers promises and records over a restart', async () => {
    const { world, registers, settle } = await one();
    await settle(registers.promise(NAME, 5));
    await settle(registers.accept('other', recordAt(7)));
    world.node('a').disk.kill();
    const again = await settle(world.restart('a', world.node('a').disk));
    again.whole = true;
    expect(await settle(again.registers.promise(NAME, 5))).toMatchObject({ agreed: false, promised: 5 });
    expect(await settle(again.registers.look('other'))).toMatchObject({ promised: 7, record: recordAt(7) });
    expect(again.registers.memory.names()).toEqual([NAME, 'other']);
  });

  it('doubts its store when a promise is unreadable', async () => {
    const { world, registers, settle } = await one();
    await settle(registers.promise(NAME, 5));
    const { disk } = world.node('a');
    const { records } = disk.snapshot();
    const [name] = records.find(([key]) => key.includes('register/promise/'))!;
    expect(disk.flipBit(Buffer.from(name, 'latin1'))).toBe(true);
    disk.kill();
    const again = await settle(world.restart('a', disk));
    expect(again.registers.memory.doubts).toHaveLength(1);
    await settle(again.opened.store.close());
  });

  it('has no vote in a register whose record is damaged, and a vote in the others', async () => {
    const { world, registers, settle } = await one();
    await settle(registers.accept(NAME, recordAt(1)));
    world.node('a').disk.flipBit(registerKey(NAME));
    for (const call of [
      registers.look(NAME),
      registers.promise(NAME, 9),
      registers.accept(NAME, recordAt(9)),
    ]) {
      await expect(settle(call)).rejects.toMatchObject({ code: 'NOT_WHOLE' });
    }
    expect(await settle(registers.promise('other', 1))).toMatchObject({ agreed: true });
  });

  it('holds no more registers than it may, and serves those that it holds', async () => {
    const { registers, settle } = await one({ limits: { maxRegisters: 1 } });
    await settle(registers.promise(NAME, 1));
    await expect(settle(registers.promise('other', 1))).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(await settle(registers.promise(NAME, 2))).toMatchObject({ agreed: true });
    expect(await settle(registers.look('other'))).toMatchObject({ record: undefined });
  });

  it('never shows what a power failure may take back, at periodic durability either', async () => {
    const { world, settle } = await one({ durability: 'periodic', limits: { maxRequestMs: 1_000 } });
    const owner = await settle(registersOf(world, 'c').acquire(NAME, 1_000));
    world.fate = ({ kind }) => (kind === 'registerAccept' ? 'refused' : undefined);
    const next = { ...owner, write: 2, value: Buffer.from('one') };
    await expect(settle(registersOf(world, 'a').write(NAME, next, 1_000))).rejects.toMatchObject({
      code: 'WRITE_TIMEOUT',
    });
    world.fate = () => undefined;
    await settle(exchange(world, 'b', 'a')); // anti-entropy brings it to b
    world.down.add('c');
    expect((await settle(registersOf(world, 'a').read(NAME, 1_000)))?.value).toEqual(next.value);
    const { disk } = world.node('b');
    disk.random.next = () => 0.9; // nothing that was not synced survives
    disk.kill();
    (await settle(world.restart('b', disk))).whole = true;
    world.down.clear();
    world.down.add('a');
    expect((await settle(registersOf(world, 'c').read(NAME, 1_000)))?.value).toEqual(next.value);
  });
});

describe('what a node remembers for registers', () => {
  it('promises and store numbers never fall', async () => {
    const world = await World.open();
    const memory = await RegisterMemory.load(world.node('a').opened.store.local, 'a');
    memory.promise(NAME, 5);
    memory.promise(NAME, 3);
    expect(memory.promisedOf(NAME)).toBe(5);
    expect([memory.numberOf('b'), memory.number]).toEqual([1, 1]);
    expect(memory.note({ nodeId: 'b', storeId: 'second', number: 2 })).toHaveLength(1);
    expect(memory.note({ nodeId: 'b', storeId: 'first', number: 1 })).toEqual([]);
    expect(memory.storeOf('b')).toEqual({ storeId: 'second', number: 2 });
  });
});
