import { Client, credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { callUnary } from '../../../../client/transport/unary.js';
import { realClock } from '../../../../ports/real.js';
import { channelOptions } from '../../../../proto/channel.js';
import { logService } from '../../../../proto/log-service.js';
import { connectLog } from '../../../../services/log/transport/client.js';
import { LogServer } from '../../../../services/log/transport/server.js';
import { configOf, memoryHarness } from '../../../conformance/log/harness.js';
import { CALL, PAGE, rejection, texts } from '../../../conformance/log/log-conformance.js';

describe('the service tallyring.log.v1.Log', () => {
  let harness: Awaited<ReturnType<typeof memoryHarness>>;
  let server: LogServer;
  let address: string;
  const calls: string[] = [];
  let raw: Client;

  beforeEach(async () => {
    harness = await memoryHarness();
    const core = await harness.open();
    const onCall = (call: string, code: string) => void calls.push(`${call} ${code}`);
    server = new LogServer({ core, config: configOf(), clock: realClock, onCall });
    address = `127.0.0.1:${await server.bind()}`;
    raw = new Client(address, credentials.createInsecure(), channelOptions({ maxReceiveBytes: -1 }));
  });
  afterEach(async () => {
    raw.close();
    await server.close();
  });

  const caller = () => ({ client: raw, address, clock: realClock, isClosed: () => false });

  it('refuses a log of another id before anything is done', async () => {
    const client = await connectLog({ address });
    const request = {
      logId: 'other',
      appends: [{ partition: 0, count: 1, records: Buffer.from([0, 0, 0, 0]) }],
    };
    const error = await rejection(callUnary(caller(), logService.Append, request, { ...CALL, writes: true }));
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      mayHaveApplied: false,
      message: expect.stringMatching(/this is log memory-1, not other/),
    });
    expect((await client.bounds(0, CALL)).end).toBe(0);
    expect(calls).toContain('Append FAILED_PRECONDITION');
    await client.close();
  });

  it('refuses records that are not what their count says', async () => {
    const send = (count: number, records: Buffer) =>
      rejection(
        callUnary(
          caller(),
          logService.Append,
          { logId: 'memory-1', appends: [{ partition: 0, count, records }] },
          { ...CALL, writes: true },
        ),
      );
    const cut = Buffer.from([5, 0, 0, 0, 1]);
    const huge = Buffer.from([255, 255, 255, 255, 1]);
    for (const [count, bytes] of [
      [1, cut],
      [1, huge],
      [2, Buffer.from([1, 0, 0, 0, 1])],
      [0, Buffer.alloc(0)],
      [1, Buffer.from([0, 0])],
    ] as const) {
      expect(await send(count, bytes)).toMatchObject({ code: 'INVALID_ARGUMENT', mayHaveApplied: false });
    }
  });

  it('cannot be reached: nothing was applied; silent until the deadline: it may have been', async () => {
    const client = await connectLog({ address });
    harness.disk.syncMs = () => 5_000;
    const append = client.append([{ partition: 0, records: texts('x', 1) }], { timeoutMs: 100 });
    expect(await rejection(append)).toMatchObject({ code: 'WRITE_TIMEOUT', mayHaveApplied: true });
    await server.close();
    const refused = await rejection(client.append([{ partition: 0, records: texts('x', 1) }], CALL));
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false });
    expect(await rejection(client.read(0, 0, PAGE))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(await rejection(connectLog({ address, timeoutMs: 2_000 }))).toMatchObject({ code: 'UNAVAILABLE' });
    await client.close();
  });

  it('waits no longer for a reader that is gone', async () => {
    const client = await connectLog({ address });
    const giveUp = new AbortController();
    const read = rejection(client.read(0, 0, { ...PAGE, waitMs: 8_000, signal: giveUp.signal }));
    await client.bounds(0, CALL);
    giveUp.abort(new Error('enough'));
    expect(await read).toEqual(new Error('enough'));
    const untilMs = performance.now() + 5_000;
    while (!calls.includes('Read UNAVAILABLE') && performance.now() < untilMs) await client.bounds(0, CALL);
    expect(calls).toContain('Read UNAVAILABLE');
    await client.close();
  });
});
