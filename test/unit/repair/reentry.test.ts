import { describe, expect, it } from 'vitest';
import { Reentry } from '../../../node/repair/reentry.js';
import { Scrub } from '../../../node/repair/scrub.js';
import { ShardCensus } from '../../../node/repair/shard-census.js';
import { encodeBody } from '../../../proto/peer-message.js';
import { type RegisterRecord, registerKey } from '../../../proto/register.js';
import { exchange, recovering, registersOf, replicas } from '../quorum/register-world.js';
import { World, type WorldOptions } from '../quorum/world.js';

const NAME = 'checkpoint';
const SECOND = 1_000;

async function opened(options: WorldOptions = replicas(3)) {
  const world = await World.open({ ...options, limits: { maxRequestMs: SECOND, ...options.limits } });
  const settle = <T>(promise: Promise<T>, withinMs?: number) => world.time.settle(promise, withinMs);
  const acquire = (id: string, name = NAME) => settle(registersOf(world, id).acquire(name, SECOND));
  const write = async (id: string, held: RegisterRecord, value: string, name = NAME) => {
    const record = { ...held, write: held.write + 1, value: Buffer.from(value) };
    await settle(registersOf(world, id).write(name, record, SECOND));
    return record;
  };
  const read = (id: string) => settle(registersOf(world, id).read(NAME, SECOND));
  const wipe = async (id: string) => {
    const node = await world.restart(id);
    return { node, ...recovering(node) };
  };
  return { world, settle, acquire, write, read, wipe };
}

describe('a replica that lost its store', () => {
  it('has no vote before it re-entered, then has the record, a promise above all, and a greater number', async () => {
    const { world, settle, acquire, write, wipe } = await opened();
    const owner = await write('b', await acquire('b'), 'one');
    const { node, done } = await wipe('a');
    await expect(settle(node.registers.look(NAME))).rejects.toMatchObject({ code: 'NOT_WHOLE' });
    await settle(done);
    expect((await settle(node.registers.look(NAME))).record).toMatchObject({ epoch: owner.epoch, write: 2 });
    const { number } = node.registers.memory;
    expect(number).toBeGreaterThan(1);
    for (const id of ['a', 'b', 'c']) {
      const { promised } = await settle(world.node(id).registers.look(NAME));
      expect(promised).toBeGreaterThan(owner.epoch);
      expect(world.node(id).registers.memory.numberOf('a')).toBe(number);
    }
    await expect(write('b', owner, 'two')).rejects.toMatchObject({ code: 'FENCED' });
  });

  it('keeps number and promises over a restart', async () => {
    const { world, settle, acquire, wipe } = await opened();
    await acquire('b');
    const { node, done } = await wipe('a');
    await settle(done);
    const { number } = node.registers.memory;
    const before = node.registers.memory.promisedOf(NAME);
    await node.opened.store.close();
    const again = await world.restart('a', node.disk);
    expect(again.registers.memory.number).toBe(number);
    expect(again.registers.memory.promisedOf(NAME)).toBe(before);
  });

  it('waits for N − Q + 1 of the others, and is not helped by one that recovers itself', async () => {
    const { world, settle, acquire, wipe } = await opened();
    await acquire('b');
    world.node('c').whole = false;
    const { node, recovery, done } = await wipe('a');
    await world.time.run(world.time.nowMs + 20 * SECOND);
    expect(node.whole).toBe(false);
    expect(recovery.waitsFor).toMatch(/^registers: 2 of (b, c|c, b) /);
    world.node('c').whole = true;
    await settle(done, 10 * SECOND);
  });

  it('an owner that counted the former store can write nothing more, even where nobody heard of the new one', async () => {
    const { world, settle, acquire, write, wipe, read } = await opened(replicas(5));
    world.down.add('d').add('e');
    const zombie = await acquire('b'); // of a, b and c
    world.down.clear();
    world.down.add('e');
    world.node('e').whole = false;
    const { done } = await wipe('a');
    await settle(done);
    world.node('e').whole = true;
    world.down.clear();
    const next = await write('c', await acquire('c'), 'next');
    await expect(write('b', zombie, 'zombie')).rejects.toMatchObject({ code: 'FENCED' });
    for (const [from, to] of [
      ['e', 'd'],
      ['e', 'a'],
    ] as const)
      await settle(exchange(world, from, to));
    expect(await read('d')).toMatchObject({ epoch: next.epoch, write: 2 });
  });

  it('takes a greater number than one that an interrupted re-entry had taken', async () => {
    const { world, settle, acquire, wipe } = await opened();
    await acquire('b');
    world.fate = ({ kind, to }) => (kind === 'registerReenter' && to === 'c' ? 'silent' : undefined);
    const first = await wipe('a');
    await world.time.run(world.time.nowMs + 3 * SECOND);
    first.recovery.stop();
    const taken = world.node('b').registers.memory.numberOf('a');
    expect(taken).toBeGreaterThan(1);
    world.fate = () => undefined;
    const { node, done } = await wipe('a');
    await settle(done);
    const { number } = node.registers.memory;
    expect(number).toBeGreaterThan(taken);
    for (const id of ['b', 'c']) expect(world.node(id).registers.memory.numberOf('a')).toBe(number);
  });

  it('never takes a number twice, though all that knew it lost their stores since', async () => {
    const { settle, wipe } = await opened();
    const numbers: number[] = [];
    for (const id of ['a', 'b', 'c', 'a']) {
      const { node, done } = await wipe(id);
      await settle(done);
      if (id === 'a') numbers.push(node.registers.memory.number);
    }
    expect(numbers[1]).toBeGreaterThan(numbers[0]!);
  });

  /** Four replicas: two others are enough, so attempts may have met different ones. */
  it('is no stranger to a replica that met an attempt which came to nothing', async () => {
    const { world, settle, acquire, wipe } = await opened(replicas(4));
    await acquire('b');
    // Three attempts reach b, and nobody else before they end.
    world.fate = ({ kind, to }) => (kind === 'registerReenter' && to !== 'b' ? 'silent' : undefined);
    for (let i = 0; i < 3; i++) {
      const { recovery } = await wipe('a');
      await world.time.run(world.time.nowMs + 3 * SECOND);
      recovery.stop();
    }
    expect(world.node('b').registers.memory.numberOf('a')).toBeGreaterThan(1);
    world.fate = () => undefined;
    world.down.add('b');
    const { done } = await wipe('a');
    await settle(done);
    world.down.clear();
    world.down.add('d'); // a, b and c are all the quorum that there is
    expect(await acquire('c')).toMatchObject({ write: 1 });
  });

  it('re-enters at replicas that hold all the registers they may, not all of them its own', async () => {
    const { world, settle, acquire, wipe } = await opened({ ...replicas(3), limits: { maxRegisters: 2 } });
    world.down.add('b');
    await acquire('c', 'x1');
    await acquire('c', 'x2');
    world.down.clear();
    world.down.add('c');
    await acquire('b', 'y1').catch(() => undefined);
    await world.time.settle(world.node('b').registers.promise('y1', 3)).catch(() => undefined);
    await world.time.settle(world.node('b').registers.promise('y2', 3)).catch(() => undefined);
    world.down.clear();
    const { node, done } = await wipe('a');
    await settle(done, 30 * SECOND);
    expect(node.registers.memory.names()).toEqual(['x1', 'x2', 'y1', 'y2']);
  });

  it('asks for no more records at once than a message holds', async () => {
    const limits = { maxBatchBytes: 64 * 1024, maxRegisterBytes: 8 * 1024 };
    const { world, settle, acquire, write, wipe } = await opened({ ...replicas(3), limits });
    for (let i = 0; i < 20; i++) {
      const name = `register-${i}`;
      await write('b', await acquire('b', name), 'x'.repeat(8 * 1024), name);
    }
    let largest = 0;
    for (const id of ['b', 'c']) {
      const { api } = world.node(id);
      const handle = api.handle.bind(api);
      api.handle = async (from, request) => {
        const reply = await handle(from, request);
        if (request.kind === 'registerReenter') largest = Math.max(largest, encodeBody(reply).length);
        return reply;
      };
    }
    const { node, done } = await wipe('a');
    await settle(done);
    expect(node.registers.memory.size).toBe(20);
    expect(largest).toBeLessThanOrEqual(limits.maxBatchBytes);
  });

  it('gets through while owners acquire again as soon as it fences them', async () => {
    const { world, settle, wipe } = await opened();
    let stop = false;
    const owners = Array.from({ length: 3 }, async (_, i) => {
      const name = `busy-${i}`;
      const registers = registersOf(world, i % 2 === 0 ? 'b' : 'c');
      while (!stop) {
        try {
          let record = await registers.acquire(name, SECOND);
          while (!stop) {
            record = { ...record, write: record.write + 1, value: Buffer.from(`${i}`) };
            await registers.write(name, record, SECOND);
          }
        } catch {
          // fenced: again
        }
      }
    });
    for (const id of ['b', 'c']) world.node(id).disk.syncMs = () => 2;
    await world.time.run(world.time.nowMs + 100);
    // Far from the others, which hear of each other sooner than of the re-entry.
    world.fate = ({ from }) => (from === 'a' ? { delayMs: 10, answerMs: 10 } : undefined);
    const { done } = await wipe('a');
    await settle(done, 5 * SECOND);
    stop = true;
    await settle(Promise.all(owners));
  });
});

describe('two losses at once', () => {
  it('a damaged record at one that is needed is not passed over: an operator decides', async () => {
    const { world, settle, acquire, write, wipe } = await opened();
    await write('b', await acquire('b'), 'one');
    const b = world.node('b');
    expect(b.disk.flipBit(registerKey(NAME))).toBe(true);
    const { refreshLeaf } = b.opened;
    const scrub = new Scrub(b.context, { census: new ShardCensus(10), refreshLeaf });
    scrub.start();
    const { node, recovery } = await wipe('a');
    await world.time.run(world.time.nowMs + 60 * SECOND);
    expect([node.whole, b.opened.store.damagedRows().length]).toEqual([false, 1]);
    recovery.stop();
    node.whole = true; // the loss is accepted at a
    await world.time.run(world.time.nowMs + 20 * SECOND);
    expect(b.opened.store.damagedRows()).toEqual([]);
    scrub.stop();
    expect((await settle(b.registers.look(NAME))).record?.value).toEqual(Buffer.from('one'));
  });
});

describe('re-entry and the loss that an operator accepted', () => {
  it('takes what can be had', async () => {
    const { world, settle, acquire, write } = await opened();
    await write('b', await acquire('b'), 'one');
    world.down.add('c');
    const node = await world.restart('a');
    const reentry = new Reentry(node.context, node.registers.memory);
    expect(await settle(reentry.run(['b'], () => true))).toBe(true);
    node.whole = true;
    expect((await settle(node.registers.look(NAME))).record?.value).toEqual(Buffer.from('one'));
  });
});
