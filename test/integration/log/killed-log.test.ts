import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConnectedLog, connectLog } from '../../../services/log/transport/client.js';
import { CALL, PAGE, readAll, rejection } from '../../conformance/log/log-conformance.js';

const script = fileURLToPath(new URL('log-process.ts', import.meta.url));
const children: ChildProcess[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tallyring-killed-log-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

/** Resolves with the first line that the process says. */
async function startProcess(port = 0) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
  const [word, ...rest] = line.split(' ');
  return { child, word, text: rest.join(' '), port: Number(rest[0]), logId: rest[1] };
}

function ended(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once('exit', resolve));
}

interface Acknowledged {
  partition: number;
  firstOffset: number;
  name: string;
}

/** Appends to random partitions until the log is gone; notes what was acknowledged, and the errors. */
async function appendUntilGone(log: ConnectedLog, writer: string) {
  const acknowledged: Acknowledged[] = [];
  for (let i = 0; ; i++) {
    const name = `${writer}-${i}`;
    const records = [0, 1, 2].map((part) =>
      Buffer.concat([Buffer.from(`${name}-${part}|`), Buffer.alloc(200)]),
    );
    const appends = [i % 4, (i + 1) % 4].map((partition) => ({ partition, records }));
    try {
      const runs = await log.append(appends, CALL);
      for (const run of runs) acknowledged.push({ ...run, name });
    } catch (error) {
      return { acknowledged, error };
    }
  }
}

describe('a log that is killed', () => {
  it('has every acknowledged record at its offset, without gaps, in times that never fall', async () => {
    const all: Acknowledged[] = [];
    let { child, port, logId } = await startProcess();
    for (let life = 0; life < 4; life++) {
      const log = await connectLog({ address: `127.0.0.1:${port}` });
      expect(log.description.logId).toBe(logId);
      const writers = Array.from({ length: 8 }, (_, i) => appendUntilGone(log, `w${life}.${i}`));
      const enough = Date.now() + 400 + 150 * life;
      while (Date.now() < enough) await log.bounds(0, CALL);
      const gone = ended(child);
      child.kill('SIGKILL');
      await gone;
      for (const { acknowledged, error } of await Promise.all(writers)) {
        expect(error).toMatchObject({ code: 'UNAVAILABLE' });
        expect(acknowledged.length).toBeGreaterThan(0);
        all.push(...acknowledged);
      }
      expect(await rejection(log.append([{ partition: 0, records: [Buffer.alloc(1)] }], CALL))).toMatchObject(
        {
          code: 'UNAVAILABLE',
          mayHaveApplied: false,
        },
      );
      ({ child } = await startProcess(port));
      // The same connection comes back by itself.
      const end = await waitForBounds(log);
      expect(end).toBeGreaterThan(0);
      await log.close();
    }
    const log = await connectLog({ address: `127.0.0.1:${port}` });
    for (let partition = 0; partition < 4; partition++) {
      const records = await readAll(log, partition, 0, 4 * 1024 * 1024);
      expect(records.every(({ offset }, i) => offset === i)).toBe(true);
      const times = records.map(({ appendedAtMs }) => appendedAtMs);
      expect(times.every((time, i) => i === 0 || time >= times[i - 1]!)).toBe(true);
      const names = records.map(({ payload }) => payload.toString().split('|')[0]);
      for (const { firstOffset, name } of all.filter((one) => one.partition === partition)) {
        expect(names.slice(firstOffset, firstOffset + 3)).toEqual([0, 1, 2].map((part) => `${name}-${part}`));
      }
    }
    await log.close();
  }, 60_000);

  it('refuses the folder to a second process, and closes in order when it is asked to', async () => {
    const first = await startProcess();
    const second = await startProcess();
    expect(second.word).toBe('failed');
    expect(second.text).toMatch(/is in use by another process: stop that log first/);
    const log = await connectLog({ address: `127.0.0.1:${first.port}` });
    const waiting = rejection(log.read(0, 0, { ...PAGE, waitMs: 9_000 }));
    const appended = log.append([{ partition: 1, records: [Buffer.from('last')] }], CALL);
    await appended;
    const gone = ended(first.child);
    first.child.kill('SIGTERM');
    expect(await waiting).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
    expect(await gone).toBe(0);
    const third = await startProcess(first.port);
    expect(third).toMatchObject({ word: 'ready', logId: first.logId });
    await waitForBounds(log);
    expect((await readAll(log, 1)).map(({ payload }) => payload.toString())).toEqual(['last']);
    await log.close();
  }, 60_000);
});

/** Asks until the log answers, at most ten seconds. */
async function waitForBounds(log: ConnectedLog): Promise<number> {
  const untilMs = Date.now() + 10_000;
  for (;;) {
    try {
      return (await log.bounds(0, CALL)).end;
    } catch (error) {
      if (Date.now() > untilMs) throw error;
    }
  }
}
