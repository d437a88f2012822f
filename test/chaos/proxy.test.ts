import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitUntil } from './drill-cluster.js';
import { LinkProxy } from './proxy.js';

const PROXY_PORT = 24_491;
const BOUND_MS = 5_000;

describe('the proxy between two nodes', () => {
  let target: Server;
  let proxy: LinkProxy;
  let arrived = '';
  let accepted: Socket | undefined;

  beforeEach(async () => {
    arrived = '';
    target = createServer((socket) => {
      accepted = socket;
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        arrived += chunk;
      });
    });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    proxy = new LinkProxy(PROXY_PORT, (target.address() as { port: number }).port);
    await proxy.listen();
  });

  afterEach(() => {
    proxy.refuse();
    target.close();
  });

  const open = async () => {
    const socket = connect(PROXY_PORT, '127.0.0.1');
    const seen = { closed: false, refused: false, received: '' };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      seen.refused ||= error.code === 'ECONNREFUSED';
    });
    socket.on('data', (chunk) => {
      seen.received += chunk;
    });
    socket.on('close', () => {
      seen.closed = true;
    });
    await waitUntil('connected or not', BOUND_MS, async () => seen.closed || !socket.connecting);
    return { socket, seen };
  };
  const arrives = (text: string) => waitUntil(`${text} arrives`, BOUND_MS, async () => arrived === text);

  it('holds one direction back, and delivers it when the cut ends', async () => {
    const { socket, seen } = await open();
    socket.write('a');
    await arrives('a');
    proxy.forth.flow = 'hold';
    proxy.applied();
    socket.write('b');
    // The other direction is open: an answer to nothing comes through, and b still does not.
    accepted!.write('back');
    await waitUntil('the answer', BOUND_MS, async () => seen.received === 'back');
    expect(arrived).toBe('a');
    proxy.forth.flow = 'open';
    proxy.applied();
    await arrives('ab');
  });

  it('swallows, and resets what is spoiled when the cut ends', async () => {
    const { socket, seen } = await open();
    socket.write('a');
    await arrives('a');
    proxy.forth.flow = 'swallow';
    proxy.applied();
    socket.write('b');
    accepted!.write('back');
    await waitUntil('the answer', BOUND_MS, async () => seen.received === 'back');
    expect(seen.closed).toBe(false);
    proxy.forth.flow = 'open';
    proxy.applied();
    await waitUntil('the reset', BOUND_MS, async () => seen.closed);
    expect(arrived).toBe('a');
  });

  it('delays', async () => {
    proxy.forth.delayMs = 60;
    const { socket } = await open();
    const startMs = performance.now();
    socket.write('a');
    await arrives('a');
    expect(performance.now() - startMs).toBeGreaterThan(50);
  });

  it('refuses, and listens again', async () => {
    const first = await open();
    proxy.refuse();
    await waitUntil('the reset', BOUND_MS, async () => first.seen.closed);
    expect((await open()).seen.refused).toBe(true);
    await proxy.listen();
    const { socket } = await open();
    socket.write('a');
    await arrives('a');
  });
});
