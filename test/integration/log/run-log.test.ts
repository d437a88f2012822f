import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../ports/logger.js';
import { LOG_SERVICE } from '../../../proto/log-service.js';
import { logConfigSchema } from '../../../services/log/config.js';
import { type RunningLog, runLog } from '../../../services/log/main.js';
import { connectLog } from '../../../services/log/transport/client.js';
import { CALL, rejection, texts } from '../../conformance/log/log-conformance.js';

let folder: string;
const running: RunningLog[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tallyring-run-log-'));
});
afterEach(async () => {
  for (const log of running.splice(0)) await log.close();
  await rm(folder, { recursive: true });
});

async function run(settings: object = {}): Promise<RunningLog> {
  const config = logConfigSchema.parse({
    dataDir: join(folder, 'log'),
    port: 0,
    minFreeDiskBytes: 1,
    ...settings,
  });
  const log = await runLog({ config, insecure: false, logger: silentLogger });
  running.push(log);
  return log;
}

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function healthOf(port: number, service: string): Promise<string> {
  const { grpc } = loadPackageDefinition(loadSync(protoPath, { enums: String })) as never as {
    grpc: { health: { v1: { Health: typeof Client } } };
  };
  const client = new grpc.health.v1.Health(`127.0.0.1:${port}`, credentials.createInsecure()) as never as {
    check(request: object, done: (error: Error | null, reply?: { status: string }) => void): void;
    close(): void;
  };
  return new Promise((resolve, reject) => {
    client.check({ service }, (error, reply) => {
      client.close();
      if (error) reject(error);
      else resolve(reply!.status);
    });
  });
}

describe('the process of the log', () => {
  it('tells its health and metrics over HTTP, and its health over gRPC', async () => {
    const metricsPort = await freePort();
    const { port, logId } = await run({ metricsPort });
    const log = await connectLog({ address: `127.0.0.1:${port}` });
    expect(log.description).toEqual({ logId, partitions: 4 });
    await log.append([{ partition: 2, records: texts('x', 7) }], CALL);
    const health = await fetch(`http://127.0.0.1:${metricsPort}/health`);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({ serving: true, damaged: 0, deadLetters: 0 });
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(metrics).toContain('tallyring_log_end_offset{partition="2"} 7');
    expect(metrics).toContain('tallyring_log_requests_total{call="Append",code="OK"} 1');
    expect(await healthOf(port, LOG_SERVICE)).toBe('SERVING');
    await log.close();
  });

  it('refuses a port that is in use, and an address that others can reach', async () => {
    const { port } = await run();
    const second = run({ port, dataDir: join(folder, 'second') });
    expect(await rejection(second)).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(RegExp(`port ${port} of 127.0.0.1 is in use`)),
    });
    expect(await rejection(run({ host: '0.0.0.0', dataDir: join(folder, 'third') }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/insecure: true/),
    });
    // What failed to start has let go of its folder.
    expect((await run({ dataDir: join(folder, 'second') })).logId).toMatch(/^[0-9a-f]{32}$/);
  });
});
