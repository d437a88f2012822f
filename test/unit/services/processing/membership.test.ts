import { describe, expect, it } from 'vitest';
import type { Register } from '../../../../client/register.js';
import { decodeMembers } from '../../../../services/processing/members.js';
import { Membership } from '../../../../services/processing/membership.js';

/** A register in memory: what two instances share. */
class SharedRegister {
  value: Buffer | null = null;

  async acquire() {
    const { value } = this;
    return {
      value,
      write: async (next: Buffer) => {
        this.value = next;
      },
    };
  }
}

const DEAD_AFTER_MS = 4_000;

function world() {
  const shared = new SharedRegister();
  let nowMs = 0;
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  return {
    names: () => decodeMembers(shared.value).map(({ name, incarnation }) => `${name}/${incarnation}`),
    pass(ms: number) {
      nowMs += ms;
    },
    join: (name: string, incarnation: string, address: string) =>
      new Membership({
        register: shared as unknown as Register,
        clock,
        me: { name, incarnation, address },
        deadAfterMs: DEAD_AFTER_MS,
        timeoutMs: 1_000,
      }),
  };
}

describe('the instances of a pipeline', () => {
  it('see each other, and drop who is silent', async () => {
    const { names, pass, join } = world();
    const [one, two] = [join('p1', 'a', 'x:1'), join('p2', 'b', 'x:2')];
    await one.beat();
    await two.beat();
    await one.beat();
    expect(one.live.map(({ name }) => name).sort()).toEqual(['p1', 'p2']);
    pass(DEAD_AFTER_MS - 1);
    await one.beat();
    expect(names()).toContain('p2/b');
    pass(DEAD_AFTER_MS);
    await one.beat();
    expect(names()).toEqual(['p1/a']);
    await two.beat();
    expect(names().sort()).toEqual(['p1/a', 'p2/b']);
  });

  it('have names of their own: the second of a name is refused for as long as the first lives', async () => {
    const { names, pass, join } = world();
    const [first, second] = [join('p1', 'a', 'x:1'), join('p1', 'b', 'y:1')];
    await first.beat();
    for (let i = 0; i < 5; i++) {
      await expect(second.beat()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
      pass(DEAD_AFTER_MS / 2);
      await first.beat();
    }
    expect(names()).toEqual(['p1/a']);
    await expect(second.beat()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    pass(DEAD_AFTER_MS);
    await second.beat();
    expect(names()).toEqual(['p1/b']);
    await expect(first.beat()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('take the place of a predecessor at their own address after half the time', async () => {
    const { names, pass, join } = world();
    await join('p1', 'a', 'x:1').beat();
    const [elsewhere, again] = [join('p1', 'b', 'y:1'), join('p1', 'c', 'x:1')];
    for (const one of [elsewhere, again]) {
      await expect(one.beat()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    }
    pass(DEAD_AFTER_MS / 2);
    await expect(elsewhere.beat()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await again.beat();
    expect(names()).toEqual(['p1/c']);
  });

  it('need not wait for one that leaves', async () => {
    const { names, join } = world();
    const [one, two] = [join('p1', 'a', 'x:1'), join('p2', 'b', 'x:2')];
    await one.beat();
    await two.beat();
    await one.leave();
    expect(names()).toEqual(['p2/b']);
  });
});
