import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import { decodeRecord, encodeRecord, partitionOf } from '../../../services/event.js';
import type { LogCore } from '../../../services/log/core.js';
import type { DeadLetter } from '../../../services/log/dead-letters.js';
import type { EventLog } from '../../../services/log/log.js';
import type { LogPlace } from '../../../services/log/open-log.js';
import { type CoreHarness, memoryHarness } from '../../conformance/log/harness.js';
import { fakeEnvironment } from './fake-environment.js';

const NOW = Date.UTC(2026, 0, 31);
const CALL = { timeoutMs: 5_000 };

let harness: CoreHarness;
let core: LogCore;
const asked: LogPlace[] = [];

beforeEach(async () => {
  harness = await memoryHarness();
  core = await harness.open();
  asked.length = 0;
});
afterEach(() => harness.dispose());

async function deadletter(...words: string[]) {
  const environment = fakeEnvironment({
    openLog: async (place) => {
      asked.push(place);
      return { log: unclosed(core), deadLetters: core.deadLetters };
    },
  });
  const code = await run(['deadletter', ...words], environment);
  return { code, out: environment.stdout.text, err: environment.stderr.text };
}

/** The same log, which a command may close without harm. */
function unclosed(core: LogCore): EventLog {
  return {
    description: core.description,
    append: (...args) => core.append(...args),
    read: (...args) => core.read(...args),
    bounds: (...args) => core.bounds(...args),
    release: (...args) => core.release(...args),
    close: async () => {},
  };
}

const record = (videoId: string, more: object = {}) =>
  encodeRecord({ videoId, eventType: 'view', timestampMs: NOW, value: 1, recordId: undefined, ...more });

function letter(partition: number, offset: number, payload: Buffer): DeadLetter {
  return {
    partition,
    offset,
    appendedAtMs: NOW,
    reason: 'INVALID_ARGUMENT',
    message: `wrong at ${offset}`,
    payload,
  };
}

async function recordIds(videoId: string) {
  const page = await core.read(partitionOf(videoId, 4), 0, { ...CALL, maxBytes: 1_000_000, waitMs: 0 });
  return page.records.map(({ payload }) => decodeRecord(payload).recordId);
}

describe('deadletter list', () => {
  it('is empty', async () => {
    expect(await deadletter('list')).toMatchObject({ code: 0, out: 'no dead letters\n' });
    expect(asked).toEqual([{ address: '127.0.0.1:7120' }]);
  });

  it('shows key, reason and what can be read', async () => {
    await core.deadLetters.put(
      [letter(1, 300, record('a', { value: 0.5 })), letter(0, 4, Buffer.from([0xc1, 7]))],
      CALL,
    );
    await core.deadLetters.mark({ partition: 1, offset: 300 }, { state: 'done' }, CALL);
    const { out } = await deadletter('list', '--log', 'h:9');
    expect(asked).toEqual([{ address: 'h:9' }]);
    expect(out).toMatch(/^0:4 +2026-01-31T00:00:00\.000Z +INVALID_ARGUMENT +wrong at 4 +2 bytes: c107$/m);
    expect(out).toMatch(/^1:300 .* replayed +wrong at 300 +\{"videoId":"a",.*"value":0\.5\}$/m);
  });

  it('as JSON, a line each', async () => {
    await core.deadLetters.put([letter(0, 4, record('a')), letter(0, 5, record('b'))], CALL);
    const { out } = await deadletter('list', '--json');
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      key: '0:4',
      reason: 'INVALID_ARGUMENT',
      replay: null,
      event: { videoId: 'a' },
    });
    expect(Buffer.from(lines[1].payload, 'base64')).toEqual(record('b'));
  });

  it('of some, and those with a reason', async () => {
    const many = Array.from({ length: 700 }, (_, i) => letter(0, i, record('a')));
    many[650] = { ...many[650]!, reason: 'UNSUPPORTED_FORMAT' };
    await core.deadLetters.put(many, CALL);
    expect((await deadletter('list', '--limit', '3')).out).toMatch(/^0:2 .*\n… and more; --limit/m);
    const { out } = await deadletter('list', '--reason', 'UNSUPPORTED_FORMAT');
    expect(out.match(/^0:/gm)).toHaveLength(1);
    expect(out).not.toContain('more');
  });
});

describe('deadletter replay', () => {
  it('replays those that are named, each once', async () => {
    await core.deadLetters.put(
      [letter(0, 0, record('a')), letter(1, 0, record('a')), letter(1, 9, record('a'))],
      CALL,
    );
    expect(await deadletter('replay', '0:0', '1:9')).toMatchObject({
      code: 0,
      out: '2 dead letters: 2 replayed\n',
    });
    expect(await deadletter('replay', '0:0', '1:0')).toMatchObject({
      code: 0,
      out: '2 dead letters: 1 replayed before, 1 replayed\n',
    });
    expect(await recordIds('a')).toEqual(['d:0:0', 'd:1:9', 'd:1:0']);
  });

  it('replays all, and tells which cannot count', async () => {
    const many = Array.from({ length: 100 }, (_, i) => letter(3, i, record('a')));
    await core.deadLetters.put([...many, letter(3, 100, record('a', { value: 0.5 }))], CALL);
    const { code, out } = await deadletter('replay', '--all');
    expect(code).toBe(1);
    expect(out).toMatch(/^3:100 {2}refused: value must be an integer/);
    expect(out).toContain('101 dead letters: 100 replayed, 1 cannot count as they are');
    expect(new Set(await recordIds('a')).size).toBe(100);
    const again = await deadletter('replay', '--all', '--set', 'value=3');
    expect(again).toMatchObject({ code: 0, out: '101 dead letters: 100 replayed before, 1 replayed\n' });
  });

  it('as JSON, a line each', async () => {
    await core.deadLetters.put([letter(0, 0, record('a'))], CALL);
    const { out } = await deadletter('replay', '0:0', '--json');
    expect(JSON.parse(out)).toEqual({ key: '0:0', partition: 0, offset: 0, outcome: 'replayed' });
  });

  const wrong: [words: string, message: string][] = [
    ['replay', 'name the dead letters'],
    ['replay 0:0 --all', 'name the dead letters'],
    ['replay x', '"x" is no dead letter; give PARTITION:OFFSET'],
    ['replay 0:1', 'there is no dead letter 0:1'],
    ['replay 2:0', 'there is no dead letter 2:0'],
    ['replay --all --set colour=red', 'must be field=value, the field one of videoId'],
    ['replay --all --set value', 'must be field=value'],
    ['list --log nowhere', 'is no address'],
    ['list --limit -1', 'must be a number above 0'],
  ];
  it.each(wrong)('%s: %s', async (words, message) => {
    const { code, err } = await deadletter(...words.split(' '));
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  it('without a log says so', async () => {
    const environment = fakeEnvironment();
    expect(await run(['deadletter', 'list'], environment)).toBe(3);
    expect(environment.stderr.text).toContain('UNAVAILABLE');
  });
});
