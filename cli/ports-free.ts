import { connect } from 'node:net';
import { TallyringError } from '../proto/errors.js';
import type { Part } from './parts.js';

const CONNECT_TIMEOUT_MS = 500;

/**
 * Refuses to start parts whose ports somebody listens on already: whoever that is would be taken for them. Throws
 * FAILED_PRECONDITION that names each.
 */
export async function checkPortsFree(parts: readonly Part[]): Promise<void> {
  const places = parts.flatMap(({ id, host, port, healthPort }) =>
    [...new Set([port, healthPort])].filter((at) => at !== 0).map((at) => ({ id, host, port: at })),
  );
  const taken = await Promise.all(places.map(isTaken));
  const named = places.filter((_, i) => taken[i]).map(({ id, host, port }) => `${host}:${port} (${id})`);
  if (named.length === 0) return;
  const [are, they] = named.length === 1 ? ['is', 'it'] : ['are', 'them'];
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `${named.join(', ')} ${are} in use already: stop what listens there (another tallyring start, with another --data folder?), \
or give ${they} other ports in cluster.yml`,
    { mayHaveApplied: false },
  );
}

function isTaken({ host, port }: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    // An address that means all of them is reached on loopback.
    const to = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const socket = connect({ host: to, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
