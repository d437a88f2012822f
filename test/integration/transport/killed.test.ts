import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { grpcTransport } from '../../../client/transport/grpc.js';
import { clusterOf, peersOf, rejection, until } from '../../unit/transport/fakes.js';

const script = fileURLToPath(new URL('peer-process.ts', import.meta.url));
const children: ChildProcess[] = [];

/** A node in a process of its own, and what it said so far. */
async function startProcess(firstPort: number) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, String(firstPort)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const said: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(...chunk.toString().split('\n')));
  await until(() => said.includes('ready'), 20_000);
  return { child, said };
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

describe('a node that is killed', () => {
  it('leaves what was sent in doubt, refuses at once after that, and is found again', async () => {
    const config = clusterOf(21_100);
    const { child, said } = await startProcess(21_100);
    const changes: boolean[] = [];
    const peers = peersOf(config, 'n2', (_, connected) => changes.push(connected));
    const connection = grpcTransport().connect('127.0.0.1:21100');
    const asked = [
      rejection(peers.request('n1', 'merge', { epoch: 1, batch: Buffer.alloc(9) }, 9_000)),
      rejection(
        connection.flush({ ringEpoch: 1, level: 'QUORUM', batch: Buffer.alloc(9) }, { timeoutMs: 9_000 }),
      ),
    ];
    const increment = connection.increment([{ key: 'k', eventType: 'v', value: 1 }], 'ONE', {
      timeoutMs: 9_000,
    });
    const read = () => rejection(connection.get([{ key: 'k', eventType: 'v' }], 'ONE', { timeoutMs: 9_000 }));
    const reading = read();
    await until(() => ['merge', 'flush', 'increment', 'get'].every((word) => said.includes(word)));
    const killedAt = performance.now();
    child.kill('SIGKILL');
    for (const error of await Promise.all(asked)) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: true, retryable: true });
    }
    // A plain increment is not idempotent, so that it must not be called again.
    expect(await increment).toMatchObject([
      { error: { code: 'UNAVAILABLE', mayHaveApplied: true, retryable: false } },
    ]);
    for (const error of [await reading, await read()]) {
      expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true });
    }
    expect(peers.isConnected('n1')).toBe(false);
    expect(await rejection(peers.request('n1', 'gossipSyn', { syn: Buffer.alloc(1) }, 9_000))).toMatchObject({
      code: 'UNAVAILABLE',
      mayHaveApplied: false,
    });
    expect(performance.now() - killedAt).toBeLessThan(1_000);

    await startProcess(21_100);
    const readyAt = performance.now();
    await until(() => peers.isConnected('n1'));
    expect(performance.now() - readyAt).toBeLessThan(2_500);
    expect(await peers.request('n1', 'gossipSyn', { syn: Buffer.alloc(1) }, 2_000)).toEqual({
      ack: Buffer.from('here'),
    });
    expect(changes).toEqual([false, true]);
    await peers.close();
    connection.close();
  }, 45_000);
});

describe('a node that freezes', () => {
  it('is noticed by keepalive, and found again when it goes on', async () => {
    const config = clusterOf(21_110);
    const { child, said } = await startProcess(21_110);
    const peers = peersOf(config, 'n2');
    const merge = rejection(peers.request('n1', 'merge', { epoch: 1, batch: Buffer.alloc(9) }, 30_000));
    await until(() => said.includes('merge'));
    child.kill('SIGSTOP');
    await until(() => !peers.isConnected('n1'), 15_000);
    expect(await merge).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: true });
    child.kill('SIGCONT');
    await until(() => peers.isConnected('n1'));
    await peers.close();
  }, 45_000);
});
