import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasEnded, lastLines, ProcessGroup, stopProcess, waitUntil } from '../../../bench/processes.js';

const folder = mkdtempSync(join(tmpdir(), 'bench-processes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const READY_THEN_WAIT = 'console.log("ready"); setInterval(() => {}, 1000);';

async function startWaiting(processes: ProcessGroup, script = READY_THEN_WAIT) {
  const log = join(mkdtempSync(join(folder, 'run-')), 'log');
  const child = processes.spawnLogged(process.execPath, ['-e', script], log);
  await waitUntil('ready', 10_000, () => lastLines(log) === 'ready');
  return child;
}

describe('ProcessGroup', () => {
  it('kills every process and runs every cleanup that was not forgotten', async () => {
    const processes = new ProcessGroup();
    const children = [await startWaiting(processes), await startWaiting(processes)];
    const cleaned: string[] = [];
    processes.onKill(() => cleaned.push('kept'));
    processes.onKill(() => cleaned.push('forgotten'))();
    const exits = children.map((child) => once(child, 'exit'));
    processes.killAll();
    expect((await Promise.all(exits)).map(([, signal]) => signal)).toEqual(['SIGKILL', 'SIGKILL']);
    expect(cleaned).toEqual(['kept']);
  });
  it('takes a program that does not exist for an ended process', async () => {
    const child = new ProcessGroup().spawnLogged('no-such-program-here', [], join(folder, 'none.log'));
    expect(hasEnded(child)).toBe(true);
    await stopProcess(child);
  });
});

describe('stopProcess', () => {
  it('kills what does not end by itself in time', async () => {
    const processes = new ProcessGroup();
    const child = await startWaiting(processes, `process.on('SIGTERM', () => {}); ${READY_THEN_WAIT}`);
    await stopProcess(child, 200);
    expect(child.signalCode).toBe('SIGKILL');
  });
});

describe('waitUntil', () => {
  it('says what it waited for when that does not come', async () => {
    await expect(waitUntil('the moon', 10, () => false)).rejects.toThrow('the moon: not within 0.01 s');
  });
});
