import { expect, it } from 'vitest';
import { Supervisor } from '../../../cli/supervisor.js';

function watched(ids = ['n1', 'p1']) {
  const alive = new Set(ids);
  const held = new Set<string>();
  const launched: string[] = [];
  const said: string[] = [];
  let refusal: Error | undefined;
  const supervisor = new Supervisor({
    ids,
    isAlive: (id) => alive.has(id),
    isHeld: (id) => held.has(id),
    launch: (id) => {
      launched.push(id);
      if (refusal !== undefined) throw refusal;
      alive.add(id);
    },
    lastLine: (id) => (id === 'p1' ? 'out of memory' : ''),
    say: (text) => said.push(text),
  });
  return {
    supervisor,
    alive,
    held,
    launched,
    said,
    refuse: (error: Error | undefined) => {
      refusal = error;
    },
  };
}

it('leaves alone what runs, and what was stopped on purpose', () => {
  const { supervisor, alive, held, launched, said } = watched();
  supervisor.look(0);
  alive.delete('n1');
  held.add('n1');
  for (let at = 1_000; at < 10_000; at += 1_000) supervisor.look(at);
  expect(launched).toEqual([]);
  expect(said).toEqual([]);
});

it('starts at once what ended by itself, and says so', () => {
  const { supervisor, alive, launched, said } = watched();
  supervisor.look(0);
  alive.delete('p1');
  supervisor.look(1_000);
  expect(launched).toEqual(['p1']);
  expect(said).toEqual(['p1 has ended (it logged last: out of memory); starting it again']);
  alive.delete('n1');
  supervisor.look(2_000);
  expect(launched).toEqual(['p1', 'n1']);
  expect(said.at(-1)).toBe('n1 has ended; starting it again');
});

it('waits longer and longer for what ends again and again, and forgets that once it is well', () => {
  const { supervisor, alive, launched, said } = watched();
  const startsAt: number[] = [];
  supervisor.look(0);
  for (let at = 1_000; at <= 40_000; at += 1_000) {
    alive.delete('p1');
    const before = launched.length;
    supervisor.look(at);
    if (launched.length > before) startsAt.push(at);
  }
  // It is seen to have ended a second after each start; then 1, 2, 4, 8 s pass.
  expect(startsAt).toEqual([1_000, 3_000, 6_000, 11_000, 20_000, 37_000]);
  expect(said).toContain('p1 has ended (it logged last: out of memory); starting it again in 4 s');
  alive.add('p1');
  supervisor.look(120_000);
  alive.delete('p1');
  supervisor.look(121_000);
  expect(launched).toHaveLength(7);
});

it('goes on after a start that failed', () => {
  const { supervisor, alive, launched, said, refuse } = watched();
  supervisor.look(0);
  alive.delete('p1');
  refuse(new Error('no such file'));
  supervisor.look(1_000);
  expect(said.at(-1)).toBe('p1 cannot be started: no such file');
  refuse(undefined);
  for (let at = 2_000; at <= 4_000; at += 1_000) supervisor.look(at);
  expect(launched).toEqual(['p1', 'p1']);
});
