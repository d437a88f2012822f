import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/program.js';
import { clusterRebuild, type NodeProcess } from '../../../cli/rebuild.js';
import { hasData, lastAside, setAside } from '../../../cli/state-folder.js';
import type { NodeReport } from '../../../proto/calls.js';
import { asTallyringError, type TallyringError } from '../../../proto/errors.js';
import { type FakeEnvironment, fakeEnvironment, refused, report } from './fake-environment.js';

const IDS = ['n1', 'n2', 'n3'];

function reportOf(nodeId: string, change: Partial<NodeReport> = {}): NodeReport {
  return { ...report(IDS), nodeId, ...change };
}

const RECOVERING = { status: 'recovering', waitsFor: 'registers: 2 of n1, n3 (step 2 of 3)' };

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'tallyring-rebuild-'));
  makeStore('n2', 'former');
});
afterEach(() => {
  rmSync(data, { recursive: true });
});

function makeStore(nodeId: string, identity: string): void {
  mkdirSync(join(data, nodeId, 'db'), { recursive: true });
  writeFileSync(join(data, nodeId, 'identity.json'), identity);
}

const identityIn = (folder: string) => readFileSync(join(data, folder, 'identity.json'), 'utf8');

describe('setting a store aside', () => {
  it('moves all of it, keeps several apart, and has nothing to move twice', () => {
    expect(setAside(data, 'n2')).toBe(join(data, 'n2.aside-1'));
    expect(existsSync(join(data, 'n2'))).toBe(false);
    expect(setAside(data, 'n2')).toBeUndefined();
    makeStore('n2', 'second');
    expect(setAside(data, 'n2')).toBe(join(data, 'n2.aside-2'));
    rmSync(join(data, 'n2.aside-1'), { recursive: true });
    makeStore('n2', 'third');
    expect(setAside(data, 'n2')).toBe(join(data, 'n2.aside-3'));
    expect(identityIn('n2.aside-2')).toBe('second');
    expect(lastAside(data, 'n2')).toBe(join(data, 'n2.aside-3'));
    expect(lastAside(data, 'n')).toBeUndefined();
  });

  it('makes no cluster new', () => {
    setAside(data, 'n2');
    expect(hasData(data, 'n2')).toBe(true);
  });
});

/** A cluster of cluster.yml whose n2 the verb deals with; its states come from `script`, one a second of waiting. */
class FakeCluster {
  readonly environment: FakeEnvironment;
  readonly done: string[] = [];
  running = true;
  n2: Partial<NodeReport> | undefined = {};
  n3: Partial<NodeReport> | undefined = {};
  script: ((cluster: FakeCluster) => void)[] = [];
  nowMs = 0;

  constructor() {
    const ask = (nodeId: string, state: () => Partial<NodeReport> | undefined) => ({
      report: async () => {
        const change = state();
        if (change === undefined) throw refused();
        return reportOf(nodeId, change);
      },
    });
    this.environment = fakeEnvironment({
      nodes: {
        '127.0.0.1:7101': ask('n1', () => ({ entries: 1_000 })),
        '127.0.0.1:7102': ask('n2', () => (this.running ? this.n2 : undefined)),
        '127.0.0.1:7103': ask('n3', () => this.n3),
      },
    });
    this.environment.nowMs = () => this.nowMs;
    this.environment.sleep = async (ms) => {
      this.nowMs += ms;
      this.script.shift()?.(this);
    };
  }

  readonly process: NodeProcess = {
    pid: () => (this.running ? 42 : undefined),
    stop: async () => {
      this.running = false;
      this.done.push('stop');
    },
    start: async () => {
      this.running = true;
      this.n2 = { ...RECOVERING, entries: 0 };
      this.done.push(existsSync(join(data, 'n2', 'identity.json')) ? 'start with a store' : 'start without');
    },
  };

  rebuild(options: { wait?: boolean; json?: boolean } = {}) {
    return clusterRebuild(this.environment, 'n2', { data, ...options }, () => this.process);
  }

  refusal = (): Promise<TallyringError> =>
    this.rebuild().then(
      () => Promise.reject(new Error('was not refused')),
      (error: unknown) => asTallyringError(error),
    );
}

const becomes = (n2: Partial<NodeReport>) => (cluster: FakeCluster) => {
  cluster.n2 = n2;
};
const MERGING = {
  status: 'recovering',
  waitsFor: '2 of n1, n3 (step 3 of 3); n1: 400 entries compared, 400 pulled',
};

describe('cluster rebuild', () => {
  it('stops the node, sets its store aside, starts it, and shows how it gets on', async () => {
    const cluster = new FakeCluster();
    cluster.script = [becomes({ ...MERGING, entries: 400 }), becomes({ entries: 1_000 })];
    expect(await cluster.rebuild()).toBe(0);
    expect(cluster.done).toEqual(['stop', 'start without']);
    expect(identityIn('n2.aside-1')).toBe('former');
    const { stdout, stderr } = cluster.environment;
    expect(stdout.text).toContain(`n2 is normal and holds 1,000 entries, after 1.0 s`);
    expect(stdout.text).toContain(`${join(data, 'n2.aside-1')}, may be deleted`);
    expect(stderr.text).toMatch(/n2 {2}0 of 12,345 entries .* waits for registers/);
    expect(stderr.text).toMatch(
      /n2 {2}400 of 12,345 entries .* \(step 3 of 3\); n1: 400 entries compared, 400 pulled/,
    );
  });

  it('says all of it in one line of JSON', async () => {
    const cluster = new FakeCluster();
    cluster.script = [becomes({ entries: 1_000 })];
    expect(await cluster.rebuild({ json: true })).toBe(0);
    expect(JSON.parse(cluster.environment.stdout.text)).toEqual({
      nodeId: 'n2',
      status: 'normal',
      entries: 1_000,
      elapsedMs: 500,
      aside: join(data, 'n2.aside-1'),
    });
  });

  it('rebuilds a node that is down, and one whose store failed', async () => {
    for (const change of [{ running: false }, { n2: { ...RECOVERING, storeState: 'failed' } }] as const) {
      makeStore('n2', 'former');
      const cluster = Object.assign(new FakeCluster(), change);
      cluster.script = [becomes({})];
      expect(await cluster.rebuild()).toBe(0);
      // Stopped in either case: nobody may start it while its store is moved.
      expect(cluster.done).toEqual(['stop', 'start without']);
    }
    expect(readdirSync(data).sort()).toEqual(['n2.aside-1', 'n2.aside-2']);
  });

  it('changes nothing when another replica is missing or recovering', async () => {
    for (const [n3, text] of [
      [undefined, 'n3 does not answer at 127.0.0.1:7103'],
      [RECOVERING, 'n3 is recovering'],
    ] as const) {
      const cluster = Object.assign(new FakeCluster(), { n3 });
      const { code, message } = await cluster.refusal();
      expect(code).toBe('FAILED_PRECONDITION');
      expect(message).toContain('nothing was changed');
      expect(message).toContain(text);
      expect(cluster.done).toEqual([]);
      expect(readdirSync(data)).toEqual(['n2']);
    }
  });

  it('leaves a node alone that is no process of this state folder', async () => {
    const cluster = new FakeCluster();
    cluster.process.pid = () => undefined;
    expect((await cluster.refusal()).message).toContain('is no process of');
    expect(readdirSync(data)).toEqual(['n2']);
  });

  it('does not begin anew when it is run again', async () => {
    const cluster = new FakeCluster();
    cluster.n2 = MERGING;
    cluster.n3 = undefined; // no reason to stop watching
    cluster.script = [becomes({})];
    expect(await cluster.rebuild()).toBe(0);
    expect(cluster.done).toEqual([]);
    expect(cluster.environment.stderr.text).toContain('recovering already');
    expect(readdirSync(data)).toEqual(['n2']);
  });

  it('goes on where it was interrupted between the move and the start', async () => {
    const cluster = new FakeCluster();
    cluster.running = false;
    setAside(data, 'n2');
    cluster.script = [becomes({})];
    expect(await cluster.rebuild()).toBe(0);
    expect(readdirSync(data)).toEqual(['n2.aside-1']);
    expect(cluster.environment.stderr.text).toContain('nothing to set aside');
    expect(cluster.environment.stdout.text).toContain('n2.aside-1');
  });

  it('returns after the start with --no-wait, and at Ctrl-C while it watches', async () => {
    const cluster = new FakeCluster();
    expect(await cluster.rebuild({ wait: false })).toBe(0);
    expect(cluster.environment.stdout.text).toMatch(
      /^n2 goes on by itself \(recovering, .*cluster rebuild n2/,
    );
    cluster.environment.stdout.text = '';
    cluster.script = [() => cluster.environment.interrupt()];
    expect(await cluster.rebuild()).toBe(1);
    expect(cluster.environment.stdout.text).toContain('n2 goes on by itself');
    expect(cluster.done).toEqual(['stop', 'start without']);
  });

  it('ends with the reason when nothing moves, when the process is gone, when the new store fails', async () => {
    const stalled = await new FakeCluster().refusal();
    expect(stalled.code).toBe('UNAVAILABLE');
    expect(stalled.message).toMatch(/has not got on for 1 min 10 s: recovering, waits for registers/);
    const dead = new FakeCluster();
    dead.script = [() => Object.assign(dead, { running: false })];
    expect((await dead.refusal()).message).toContain(
      'the process of n2 is gone; start it again with tallyring',
    );
    const failed = new FakeCluster();
    failed.script = [becomes({ storeState: 'failed' })];
    expect((await failed.refusal()).code).toBe('STORE_FAILED');
  });

  it('speaks at least every five seconds', async () => {
    const cluster = new FakeCluster();
    await cluster.refusal();
    const lines = cluster.environment.stderr.text.split('\n').filter((line) => line.startsWith('n2  '));
    expect(lines.length).toBeGreaterThanOrEqual(14);
    expect(lines.length).toBeLessThan(20);
  });

  it('on a terminal repaints one line, whose end says how it gets on', async () => {
    const cluster = new FakeCluster();
    Object.assign(cluster.environment.stderr, { isTty: true });
    const more = { status: 'recovering', waitsFor: MERGING.waitsFor.replaceAll('400', '800') };
    cluster.script = [becomes({ ...MERGING, entries: 400 }), becomes({ ...more, entries: 800 }), becomes({})];
    expect(await cluster.rebuild()).toBe(0);
    const { text } = cluster.environment.stderr;
    const painted = text
      .split('\r\u001b[K')
      .filter((part) => part.startsWith('n2  ') && !part.endsWith('\n'));
    expect(painted).toHaveLength(3);
    for (const line of painted) expect(line.length).toBeLessThan(80);
    expect(painted[2]).toMatch(/^n2 {2}800 of 12,345 entries {2}800\/s {2}1\.0 s {2}….*800 pulled$/);
    // Each state once in full; the growing figures are no other state.
    expect(text.match(/n2 {2}recovering, waits for 2 of n1, n3 .*\n/g)).toHaveLength(1);
  });

  it('says where the store is when the node does not start', async () => {
    const cluster = new FakeCluster();
    cluster.process.start = () => Promise.reject(refused());
    const { message } = await cluster.refusal();
    expect(message).toMatch(/connection refused\n.*stays set aside.* tallyring cluster start n2 --data/);
    expect(cluster.environment.stderr.text).toContain('n2.aside-1');
  });

  it('knows its nodes', async () => {
    const environment = fakeEnvironment();
    expect(await run(['cluster', 'rebuild', 'n9', '--data', data], environment)).toBe(2);
    expect(environment.stderr.text).toContain('no node "n9" in cluster tallyring; there are n1, n2, n3');
    expect(environment.asked).toEqual([]);
  });
});
