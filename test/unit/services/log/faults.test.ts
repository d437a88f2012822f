import { describe, expect, it } from 'vitest';
import { blockKey } from '../../../../services/log/keyspace.js';
import { memoryHarness } from '../../../conformance/log/harness.js';
import {
  CALL,
  eventually,
  PAGE,
  readAll,
  rejection,
  texts,
} from '../../../conformance/log/log-conformance.js';

describe('a fault under the log', () => {
  it('a failed write ends it: what was in flight is in doubt, nothing is acknowledged after', async () => {
    const harness = await memoryHarness();
    let log = await harness.open();
    const one = (text: string) => log.append([{ partition: 0, records: [Buffer.from(text)] }], CALL);
    await one('kept');
    const waiting = rejection(log.read(0, 1, { ...PAGE, waitMs: 5_000 }));
    harness.disk.failingWrites = 1;
    const doubtful = rejection(one('doubtful'));
    await eventually(async () => harness.disk.failingWrites === 0);
    expect(await doubtful).toMatchObject({ code: 'STORE_FAILED', mayHaveApplied: true });
    expect(await rejection(one('after'))).toMatchObject({ code: 'STORE_FAILED', mayHaveApplied: false });
    expect(await waiting).toMatchObject({ code: 'STORE_FAILED', mayHaveApplied: false });
    await harness.kill();
    log = await harness.open();
    expect((await readAll(log, 0)).map(({ payload }) => payload.toString())).toEqual(['kept']);
  });

  it('a flipped bit makes its block unreadable, in words, and no other', async () => {
    const harness = await memoryHarness();
    let log = await harness.open();
    for (let i = 0; i < 3; i++) await log.append([{ partition: 0, records: texts(`b${i}`, 4) }], CALL);
    expect(harness.disk.flipBit(blockKey(0, 7))).toBe(true);
    expect((await log.read(0, 0, { ...PAGE, maxBytes: 1 })).records.length).toBe(1);
    for (const from of [4, 7]) {
      expect(await rejection(log.read(0, from, PAGE))).toMatchObject({
        code: 'DATA_LOSS',
        message: expect.stringMatching(/checksum/),
      });
    }
    expect((await log.read(0, 8, PAGE)).records.length).toBe(4);
    // It is not found at start when it lies in a table for long; when it is, the partition says so.
    await harness.kill();
    log = await harness.open();
    expect(await rejection(log.read(0, 4, PAGE))).toMatchObject({ code: 'DATA_LOSS' });
  });

  it('time that waits for the disk counts: an append is dropped whose deadline passed before its turn', async () => {
    const harness = await memoryHarness();
    const log = await harness.open();
    harness.disk.syncMs = () => 60;
    const appends = [10_000, 20, 10_000].map((timeoutMs, i) =>
      log.append([{ partition: i, records: texts('x', 1) }], { timeoutMs }).then(
        () => 'ok',
        (error: unknown) => error,
      ),
    );
    const late = log.append([{ partition: 3, records: texts('x', 1) }], CALL);
    await Promise.all([...appends, late]);
    const slow = log.append([{ partition: 0, records: texts('y', 1) }], CALL);
    await eventually(async () => log.stats.pendingBytes > 0);
    await Promise.resolve();
    const expired = rejection(log.append([{ partition: 0, records: texts('z', 1) }], { timeoutMs: 1 }));
    await slow;
    expect(await expired).toMatchObject({ code: 'WRITE_TIMEOUT', mayHaveApplied: false });
    expect((await log.bounds(0, CALL)).end).toBe(2);
  });
});
