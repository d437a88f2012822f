import { TallyringError } from './errors.js';

/** What every server of the project says about the address that it listens on. */

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Without TLS a server listens on loopback only, unless cluster.yml says that it may. */
export function checkListenHost(who: string, host: string, insecure: boolean): void {
  if (insecure || isLoopback(host)) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `${who} would listen on ${host} without encryption or passwords; ` +
      'set insecure: true in cluster.yml if that network is trusted, or use 127.0.0.1',
  );
}

/** What a failure to listen on an address means, and what to do. */
export function listenFailure(host: string, port: number, cause: Error): TallyringError {
  const text = /EADDRINUSE|address already in use/.test(cause.message)
    ? `port ${port} of ${host} is in use: stop the process that listens there, or change the port in cluster.yml`
    : `cannot listen on ${host} port ${port}: ${cause.message}`;
  return new TallyringError('FAILED_PRECONDITION', text, { cause });
}
