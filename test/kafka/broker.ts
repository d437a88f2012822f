import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

/** A broker of the tests' own, on a free port, in a temporary folder. */
export interface Broker {
  folder: string;
  port: number;
}

declare module 'vitest' {
  export interface ProvidedContext {
    broker: Broker;
  }
}

const script = fileURLToPath(new URL('../../scripts/kafka/start', import.meta.url));

export function startBroker({ folder, port }: Broker): void {
  const { status } = spawnSync(script, [folder, String(port)], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`the broker did not start (exit code ${status})`);
}

export function killBroker({ folder }: Broker, signal: NodeJS.Signals): void {
  process.kill(Number(readFileSync(join(folder, 'broker.pid'), 'utf8')), signal);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A port that is free, and the next one, which the broker's controller takes. */
async function freePort(): Promise<number> {
  for (let port = 19_092; port < 19_292; port += 2) {
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
  throw new Error('no two ports from 19092 on are free');
}

export default async function setup(project: TestProject) {
  const broker = { folder: mkdtempSync(join(tmpdir(), 'tallyring-kafka-')), port: await freePort() };
  const remove = () => rmSync(broker.folder, { recursive: true, maxRetries: 5 });
  try {
    startBroker(broker);
  } catch (error) {
    remove();
    throw error;
  }
  project.provide('broker', broker);
  return () => {
    killBroker(broker, 'SIGKILL');
    remove();
  };
}
