import { expect, it } from 'vitest';
import { ALL_FAULTS, chaos } from './chaos-command.js';

// Faults of all kinds in short, on real processes; `scripts/chaos` runs them for as long as you like. Flipped bits
// are left to it: what LevelDB hides when one hits a table's key or length is not noticed yet.
const FAULTS = ALL_FAULTS.filter((name) => name !== 'flip');

it('a cluster of real processes stays exact under faults of every kind', { timeout: 300_000 }, async () => {
  const said: string[] = [];
  const { code, report } = await chaos({
    seconds: 30,
    seed: '1',
    nodes: 3,
    port: 24_501,
    faults: FAULTS,
    keep: false,
    destructive: false,
    say: (line) => said.push(line),
    interrupted: new Promise(() => {}),
  });
  expect(code, `${said.join('\n')}\n${report}`).toBe(0);
  // It has done something at all.
  expect(report).toMatch(/increments acknowledged +│ \d+,\d{3}/);
});
