import { describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import type { CellQuery, IncrementRequest } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import { description, EMPTY_VALUE, fakeEnvironment, report, VALUE } from './fake-environment.js';

const A = '127.0.0.1:7101';
const B = '127.0.0.1:7102';

describe('usage errors exit with 2', () => {
  const table: [line: string, text: string][] = [
    ['frobnicate', "unknown command 'frobnicate'"],
    ['inc', "missing required argument 'key'"],
    ['inc k', "missing required argument 'eventType'"],
    ['inc k view extra', 'too many arguments'],
    ['inc k view --buy 3', "unknown option '--buy'"],
    ['inc k view --by 1.5', '--by "1.5" is no integer'],
    ['inc k view --by 9223372036854775808', 'no integer of 64 bits'],
    ['inc k view --at yesterday', '--at "yesterday" is no time'],
    ['inc k view --at 2026-02-02', 'more than a day ahead'],
    ['inc k view --consistency most', 'unknown consistency level "most"; one of ONE, TWO, THREE, QUORUM'],
    ['inc k view --contact nowhere', '"nowhere" is no address; give host:port'],
    ['inc k view --contact h:70000', 'is no address'],
    ['inc k view --timeout 0', '--timeout 0 must be 1 to 600000'],
    ['get k', 'eventType is missing'],
    ['get k view --granularity week', 'unknown granularity "week"; one of total, day, hour, minute'],
    ['get k view --at 2026-01-01', '--at names a window: give --granularity'],
    ['get k view --local', 'say which with --node N'],
    ['get k view --node n9 --local', 'no node "n9" in cluster tallyring; there are n1, n2, n3'],
    ['stats k view', 'stats needs --from'],
    ['stats k view --from 2026-02-30', '--from "2026-02-30" is no time'],
    ['stats k view --from 2000-01-01 --granularity hour --fill', 'hour windows are more than 10,000'],
    ['cluster kill n9', 'no node or service "n9"'],
    ['cluster kill n1 --signal NONE', 'unknown signal "NONE"'],
    ['cluster pause', "missing required argument 'name'"],
    ['import /nowhere.jsonl', 'no such file: /nowhere.jsonl'],
    ['import test', 'is a folder'],
    ['import x --from-line 0', '--from-line "0" must be the number of a line'],
    ['import x --rate 0', '--rate "0" must be a number above 0'],
    ['status --config /nowhere.yml', '/nowhere.yml: no such file'],
    ['verify --keys-limit few', '--keys-limit "few" must be a number above 0'],
  ];
  it.each(table)('%s', async (line, text) => {
    const environment = fakeEnvironment();
    expect(await run(line.split(' '), environment)).toBe(2);
    expect(environment.stderr.text).toContain(text);
    expect(environment.stdout.text).toBe('');
    expect(environment.asked).toEqual([]);
  });

  it('but the release is none', async () => {
    const environment = fakeEnvironment();
    expect(await run(['--version'], environment)).toBe(0);
    expect(environment.stdout.text).toBe('1.2.3\n');
  });

  it('an empty key, and with --json as JSON', async () => {
    const environment = fakeEnvironment();
    expect(await run(['inc', '', 'view', '--json'], environment)).toBe(2);
    const { error } = JSON.parse(environment.stdout.text);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', mayHaveApplied: false });
    expect(environment.stderr.text).toBe('');
  });
});

it('help and version of the verbs exit with 0', async () => {
  for (const line of [['--help'], ['inc', '--help'], ['cluster', '--help']]) {
    const environment = fakeEnvironment();
    expect(await run(line, environment)).toBe(0);
    expect(environment.stdout.text).toContain('Usage: tallyring');
  }
});

describe('inc', () => {
  it('sends one increment and says so', async () => {
    const seen: [readonly IncrementRequest[], ConsistencyLevel][] = [];
    const environment = fakeEnvironment({
      nodes: {
        [A]: {
          increment: async (requests, level) => {
            seen.push([requests, level]);
            return [{ ok: null }];
          },
        },
      },
    });
    const words = [
      'inc',
      'k',
      'view',
      '--by',
      '-9223372036854775808',
      '--at',
      '2026-01-02T03:04:05Z',
      '--consistency',
      'one',
      '--json',
    ];
    expect(await run(words, environment)).toBe(0);
    expect(seen).toEqual([
      [
        [{ key: 'k', eventType: 'view', value: -(2n ** 63n), timestampMs: Date.UTC(2026, 0, 2, 3, 4, 5) }],
        'ONE',
      ],
    ]);
    expect(JSON.parse(environment.stdout.text)).toMatchObject({ by: '-9223372036854775808', counted: true });
  });

  it('asks the next node when one refuses the connection', async () => {
    const environment = fakeEnvironment({ nodes: { [B]: { increment: async () => [{ ok: null }] } } });
    expect(await run(['inc', 'k', 'view'], environment)).toBe(0);
    expect(environment.asked).toEqual([A, B]);
  });

  it('exits with 3 and says how to start a cluster when none runs', async () => {
    const environment = fakeEnvironment();
    expect(await run(['inc', 'k', 'view'], environment)).toBe(3);
    expect(environment.stderr.text).toContain('npm start');
    expect(environment.asked).toHaveLength(3);
  });

  it('exits with 3 when too few replicas live, telling how many', async () => {
    const unavailable = new TallyringError('UNAVAILABLE', 'too few', {
      required: 2,
      live: 1,
      mayHaveApplied: false,
    });
    const environment = fakeEnvironment({ nodes: { [B]: { increment: () => Promise.reject(unavailable) } } });
    expect(await run(['inc', 'k', 'view'], environment)).toBe(3);
    expect(environment.stderr.text).toContain('UNAVAILABLE: too few (required 2, live 1)');
  });

  const doubts: [name: string, error: Error][] = [
    ['a write timeout', new TallyringError('WRITE_TIMEOUT', 'late', { required: 2, received: 1 })],
    ['a reset after sending', new TallyringError('UNAVAILABLE', 'reset', { mayHaveApplied: true })],
    ['something unknown', new Error('what?')],
  ];
  it.each(doubts)('exits with 4 after %s, and asks no second node', async (_name, error) => {
    const environment = fakeEnvironment({
      nodes: {
        [A]: { increment: () => Promise.reject(error) },
        [B]: { increment: async () => [{ ok: null }] },
      },
    });
    expect(await run(['inc', 'k', 'view'], environment)).toBe(4);
    expect(environment.stderr.text).toContain('In doubt');
    expect(environment.asked).toEqual([A]);
  });

  it('exits with 2 when the level is above the number of replicas', async () => {
    const above = new TallyringError('INVALID_ARGUMENT', 'consistency level THREE cannot be met');
    const environment = fakeEnvironment({ nodes: { [A]: { increment: () => Promise.reject(above) } } });
    expect(await run(['inc', 'k', 'view', '--consistency', 'THREE'], environment)).toBe(2);
  });
});

describe('get and stats', () => {
  it('get prints the value', async () => {
    const environment = fakeEnvironment({ nodes: { [A]: { get: async () => [{ ok: VALUE }] } } });
    expect(await run(['get', 'k', 'view', '--json'], environment)).toBe(0);
    expect(JSON.parse(environment.stdout.text)).toEqual({
      key: 'k',
      eventType: 'view',
      ...VALUE,
      average: 3.5,
    });
  });

  it('get --node N --local asks that replica alone', async () => {
    let seen: readonly CellQuery[] = [];
    const environment = fakeEnvironment({
      nodes: {
        [B]: {
          getLocal: async (queries) => {
            seen = queries;
            return [{ ok: VALUE }];
          },
        },
      },
    });
    const words = [
      'get',
      'k',
      'view',
      '--node',
      'n2',
      '--local',
      '--granularity',
      'hour',
      '--at',
      '2026-01-02T03:04:05Z',
      '--json',
    ];
    expect(await run(words, environment)).toBe(0);
    expect(environment.asked).toEqual([B]);
    expect(seen).toEqual([
      { key: 'k', eventType: 'view', granularity: 'hour', timestampMs: Date.UTC(2026, 0, 2, 3, 4, 5) },
    ]);
    expect(JSON.parse(environment.stdout.text)).toMatchObject({
      granularity: 'hour',
      start: '2026-01-02T03:00:00.000Z',
    });
  });

  it('--node N that is down: says so, and how to start it, while others answer', async () => {
    const nodes = { [A]: { describe: async () => description(['n1', 'n2', 'n3']) } };
    const environment = fakeEnvironment({ nodes });
    expect(await run(['get', 'k', 'view', '--node', 'n2'], environment)).toBe(3);
    expect(environment.stderr.text).toBe(
      'tallyring: UNAVAILABLE: n2 is down; start it with tallyring cluster start n2\n',
    );
    const alone = fakeEnvironment();
    expect(await run(['get', 'k', 'view', '--node', 'n2'], alone)).toBe(3);
    expect(alone.stderr.text).toContain('start a cluster with npm start');
  });

  it('stats with an empty series says so', async () => {
    const answer = { startMs: 0, endMs: 1, granularity: 'hour' as const, value: EMPTY_VALUE, series: [] };
    const environment = fakeEnvironment({ nodes: { [A]: { stats: async () => [{ ok: answer }] } } });
    const words = ['stats', 'k', 'view', '--from', '2026-01-01', '--granularity', 'hour'];
    expect(await run(words, environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/\n\(no events in this range\)\n$/);
  });

  it('a read that times out on one node is asked of the next', async () => {
    const environment = fakeEnvironment({
      nodes: {
        [A]: { get: () => Promise.reject(new TallyringError('READ_TIMEOUT', 'late')) },
        [B]: { get: async () => [{ ok: VALUE }] },
      },
    });
    expect(await run(['get', 'k', 'view'], environment)).toBe(0);
    expect(environment.stdout.text).toContain('average');
  });

  it('stats fills in empty windows when asked', async () => {
    const hour = 3_600_000;
    const environment = fakeEnvironment({
      nodes: {
        [A]: {
          stats: async ([query]) => [
            {
              ok: {
                startMs: query!.startMs,
                endMs: query!.endMs,
                granularity: 'hour',
                value: VALUE,
                series: [{ startMs: query!.startMs + hour, value: VALUE }],
              },
            },
          ],
        },
      },
    });
    const words = [
      'stats',
      'k',
      'view',
      '--from',
      '2026-01-01',
      '--to',
      '2026-01-01T03:00Z',
      '--granularity',
      'hour',
      '--fill',
      '--json',
    ];
    expect(await run(words, environment)).toBe(0);
    const answer = JSON.parse(environment.stdout.text);
    expect(answer).toMatchObject({
      start: '2026-01-01T00:00:00.000Z',
      end: '2026-01-01T03:00:00.000Z',
      count: 2,
    });
    expect(
      answer.series.map(({ start, count }: { start: string; count: number }) => [start.slice(11, 13), count]),
    ).toEqual([
      ['00', 0],
      ['01', 2],
      ['02', 0],
    ]);
  });
});

describe('operators', () => {
  const nodes = { [A]: { report: async () => report(['n1', 'n2', 'n3']) } };

  it('status has the shape of nodetool', async () => {
    const down = report(['n1', 'n2', 'n3']);
    down.ring.nodes[1]!.up = false;
    down.ring.nodes[2]!.status = 'recovering';
    const environment = fakeEnvironment({ nodes: { [A]: { report: async () => down } } });
    expect(await run(['status'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(
      /^Datacenter: dc1\n===============\nStatus=Up\/Down\n\|\/ State=/,
    );
    expect(environment.stdout.text).toMatch(
      /^UN {2}n1 {4}127\.0\.0\.1:7101 +12,345 +8 +100\.0% +store-of-self +r1$/m,
    );
    expect(environment.stdout.text).toMatch(/^DN {2}n2 .* \? .* store-of-n2/m);
    expect(environment.stdout.text).toMatch(/^UR {2}n3 /m);
  });

  it('status says who does not answer although nobody convicted it', async () => {
    const paused = report(['n1', 'n2', 'n3']);
    paused.ring.nodes[2]!.up = false;
    const environment = fakeEnvironment({ nodes: { [A]: { report: async () => paused } } });
    expect(await run(['status'], environment)).toBe(0);
    expect(environment.stdout.text).toContain(
      '\n\nn2 does not answer; the failure detector has not convicted it yet\nCluster test',
    );
    expect(environment.stdout.text).not.toContain('n3 does not');
  });

  it('ring sums up a node a line, and rounds in JSON', async () => {
    const third = report(['n1', 'n2', 'n3']);
    third.ownership.n2 = 1 / 3;
    const environment = fakeEnvironment({ nodes: { [A]: { report: async () => third } } });
    expect(await run(['ring'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/^Address +Node +DC +Rack +Status +State +Tokens +Owns$/m);
    expect(environment.stdout.text).toMatch(/^127\.0\.0\.1:7102 +n2 +dc1 +r1 +Up +Normal +8 +33\.3%$/m);
    expect(environment.stdout.text.split('\n')).toHaveLength(6);
    environment.stdout.text = '';
    expect(await run(['ring', '--json'], environment)).toBe(0);
    expect(JSON.parse(environment.stdout.text).nodes[1]).toMatchObject({
      nodeId: 'n2',
      tokens: 8,
      owns: 0.3333,
    });
  });

  it('ring --tokens lists every token once, in order', async () => {
    const environment = fakeEnvironment({ nodes });
    expect(await run(['ring', '--tokens', '--json'], environment)).toBe(0);
    const { tokens } = JSON.parse(environment.stdout.text) as { tokens: { token: string; nodeId: string }[] };
    expect(tokens).toHaveLength(24);
    const values = tokens.map(({ token }) => BigInt(token));
    expect(values).toEqual([...values].sort((a, b) => (a < b ? -1 : 1)));
    for (const nodeId of ['n1', 'n2', 'n3'])
      expect(tokens.filter((token) => token.nodeId === nodeId)).toHaveLength(8);
  });

  it('info and gossipinfo', async () => {
    const environment = fakeEnvironment({ nodes });
    expect(await run(['info'], environment)).toBe(0);
    expect(environment.stdout.text).toMatch(/^Generation No +: 7$/m);
    expect(await run(['gossipinfo'], environment)).toBe(0);
    expect(environment.stdout.text).toContain('/127.0.0.1:7101 (n2)\n  generation:7\n  heartbeat:42\n');
  });

  it('getendpoints prints addresses in preference order', async () => {
    const environment = fakeEnvironment({
      nodes: {
        [A]: {
          endpointsOf: async () => ['n3', 'n1'],
          describe: async () => description(['n1', 'n2', 'n3'], 2),
        },
      },
    });
    expect(await run(['getendpoints', 'k'], environment)).toBe(0);
    expect(environment.stdout.text).toBe('127.0.0.1:7103  n3\n127.0.0.1:7101  n1\n');
  });
});
