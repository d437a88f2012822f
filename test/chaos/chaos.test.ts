import { expect, it } from 'vitest';
import { ALL_FAULTS, chaos } from './chaos-command.js';

// Faults of all kinds in short, on real processes; `scripts/chaos` runs them for as long as you like.

it('a cluster of real processes stays exact under faults of every kind', { timeout: 300_000 }, async () => {
  const said: string[] = [];
  const { code, report } = await chaos({
    seconds: 30,
    seed: '1',
    nodes: 3,
    port: 24_501,
    faults: ALL_FAULTS,
    keep: false,
    destructive: false,
    say: (line) => said.push(line),
    interrupted: new Promise(() => {}),
  });
  expect(code, `${said.join('\n')}\n${report}`).toBe(0);
  // It has done something at all.
  expect(report).toMatch(/increments acknowledged +│ \d+,\d{3}/);
});
