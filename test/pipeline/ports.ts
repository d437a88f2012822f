import { createServer } from 'node:net';

/** Below the range from which systems take the ports of outgoing connections: nobody gets one of these meanwhile. */
const FIRST = 25_000;
const LAST = 31_900;

/** So many neighbouring ports that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST - count));
    const ports = Array.from({ length: count }, (_, i) => first + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports;
  }
  throw new Error(`no ${count} neighbouring ports between ${FIRST} and ${LAST} are free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
