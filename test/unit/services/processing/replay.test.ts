import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TallyringError } from '../../../../proto/errors.js';
import { decodeRecord, encodeRecord, partitionOf } from '../../../../services/event.js';
import type { DeadLetters, StoredDeadLetter } from '../../../../services/log/dead-letters.js';
import type { EventLog } from '../../../../services/log/log.js';
import { type ReplayParts, replay } from '../../../../services/processing/replay.js';
import { type CoreHarness, memoryHarness } from '../../../conformance/log/harness.js';

const NOW = Date.UTC(2026, 0, 31);
const CALL = { timeoutMs: 5_000 };
const event = { videoId: 'a', eventType: 'view', timestampMs: NOW - 1_000, value: 7, recordId: 'e:own' };
const TARGET = partitionOf('a', 4);

let harness: CoreHarness;
let log: EventLog;
let deadLetters: DeadLetters;

beforeEach(async () => {
  harness = await memoryHarness();
  const core = await harness.open();
  log = core;
  deadLetters = core.deadLetters;
});
afterEach(() => harness.dispose());

async function put(payload = encodeRecord(event), offset = 5): Promise<StoredDeadLetter> {
  const letter = {
    partition: 2,
    offset,
    appendedAtMs: NOW,
    reason: 'INVALID_ARGUMENT',
    message: 'odd',
    payload,
  };
  await deadLetters.put([letter], CALL);
  return stored();
}

async function stored(): Promise<StoredDeadLetter> {
  return (await deadLetters.list(undefined, 1, CALL))[0]!;
}

function replayed(letter: StoredDeadLetter, parts: Partial<ReplayParts> = {}) {
  return replay(letter, { log, deadLetters, changes: {}, nowMs: NOW, call: CALL, ...parts });
}

async function recordsOf(partition: number) {
  const { end } = await log.bounds(partition, CALL);
  if (end === 0) return [];
  const page = await log.read(partition, 0, { ...CALL, maxBytes: 1_000_000, waitMs: 0 });
  return page.records.map(({ payload }) => decodeRecord(payload));
}

/** The log, but for one append whose answer is lost, or that never arrives. */
function failingAppend(failure: TallyringError, isApplied: boolean): EventLog {
  return {
    description: log.description,
    read: (...args) => log.read(...args),
    bounds: (...args) => log.bounds(...args),
    release: (...args) => log.release(...args),
    close: () => log.close(),
    async append(...args) {
      if (isApplied) await log.append(...args);
      throw failure;
    },
  };
}

describe('a replay', () => {
  it('appends the event under the key of its letter, once', async () => {
    const letter = await put();
    expect(await replayed(letter)).toEqual({ partition: 2, offset: 5, outcome: 'replayed' });
    expect(await recordsOf(TARGET)).toEqual([{ ...event, recordId: 'd:2:5', attributes: undefined }]);
    expect((await stored()).replay).toEqual({ state: 'done' });
    expect((await replayed(await stored())).outcome).toBe('before');
    expect(await recordsOf(TARGET)).toHaveLength(1);
  });

  it('notes where the partition ended before it appends', async () => {
    await log.append([{ partition: TARGET, records: [encodeRecord(event), encodeRecord(event)] }], CALL);
    const letter = await put();
    const failure = new TallyringError('WRITE_TIMEOUT', 'late');
    const outcome = await replayed(letter, { log: failingAppend(failure, false) });
    expect(outcome).toEqual({ partition: 2, offset: 5, outcome: 'in doubt', message: 'late' });
    expect((await stored()).replay).toEqual({ state: 'began', partition: TARGET, end: 2 });
  });

  it('that was cut off behind its append is found, among others', async () => {
    const letter = await put();
    const failure = new TallyringError('WRITE_TIMEOUT', 'late');
    expect((await replayed(letter, { log: failingAppend(failure, true) })).outcome).toBe('in doubt');
    await log.append([{ partition: TARGET, records: [Buffer.from([1]), encodeRecord(event)] }], CALL);
    expect((await replayed(await stored())).outcome).toBe('found');
    expect((await stored()).replay).toEqual({ state: 'done' });
    expect(await log.bounds(TARGET, CALL)).toMatchObject({ end: 3 });
  });

  it('that was cut off before its append is appended', async () => {
    const letter = await put();
    const failure = new TallyringError('UNAVAILABLE', 'gone', { mayHaveApplied: false });
    expect((await replayed(letter, { log: failingAppend(failure, false) })).outcome).toBe('failed');
    await log.append([{ partition: TARGET, records: [encodeRecord(event)] }], CALL);
    expect((await replayed(await stored())).outcome).toBe('replayed');
    expect((await recordsOf(TARGET)).map(({ recordId }) => recordId)).toEqual(['e:own', 'd:2:5']);
  });

  it('that began keeps its partition', async () => {
    const letter = await put();
    const failure = new TallyringError('WRITE_TIMEOUT', 'late');
    await replayed(letter, { log: failingAppend(failure, true) });
    const other = ['b', 'c', 'd', 'e', 'f', 'g'].find((videoId) => partitionOf(videoId, 4) !== TARGET)!;
    const outcome = await replayed(await stored(), { changes: { videoId: other } });
    expect(outcome).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining('replay it as it was'),
    });
    expect(await recordsOf(partitionOf(other, 4))).toEqual([]);
  });

  it('whose record may be trimmed already is left in doubt', async () => {
    const letter = await put();
    await deadLetters.mark(letter, { state: 'began', partition: TARGET, end: 0 }, CALL);
    const trimmed: EventLog = Object.assign(
      failingAppend(new TallyringError('INTERNAL', 'appended'), false),
      {
        bounds: async () => ({ start: 10, end: 20 }),
      },
    );
    const outcome = await replayed(await stored(), { log: trimmed });
    expect(outcome).toMatchObject({
      outcome: 'in doubt',
      message: expect.stringContaining('trimmed already'),
    });
  });

  it('is refused while it would not count, and marks nothing', async () => {
    const letter = await put(encodeRecord({ ...event, timestampMs: NOW + 2 * 86_400_000 }));
    const outcome = await replayed(letter);
    expect(outcome).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining('more than 24 hours ahead'),
    });
    expect((await stored()).replay).toBeUndefined();
    expect((await replayed(letter, { nowMs: NOW + 2 * 86_400_000 })).outcome).toBe('replayed');
  });

  it('takes corrections', async () => {
    const letter = await put(encodeRecord({ ...event, value: 0.5 }));
    expect((await replayed(letter)).outcome).toBe('refused');
    expect((await replayed(letter, { changes: { value: 5 } })).outcome).toBe('replayed');
    expect(await recordsOf(TARGET)).toEqual([
      { ...event, value: 5, recordId: 'd:2:5', attributes: undefined },
    ]);
  });

  it('of what cannot be read needs all fields', async () => {
    const letter = await put(Buffer.from([0xc1, 1]));
    expect((await replayed(letter)).message).toContain('no readable timestamp');
    const changes = { videoId: 'a', eventType: 'view', timestamp: '2026-01-30', value: 3 };
    expect((await replayed(letter, { changes })).outcome).toBe('replayed');
    expect((await recordsOf(TARGET))[0]).toMatchObject({ videoId: 'a', value: 3, recordId: 'd:2:5' });
  });
});
