import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { PROJECT } from '../../test/chaos/drill-cluster.js';
import { truthOf } from '../../test/chaos/real-events.js';
import { ProcessGroup } from '../processes.js';
import { createProgressLine } from '../progress-line.js';
import { missingForPeer, startCassandraPeer } from './cassandra.js';
import { eventsOf } from './events.js';
import { killsOf } from './kills.js';
import { renderSetup, renderTable, toJson } from './report.js';
import { isKept, type Load, type Outcome, runContestant } from './run.js';
import type { Contestant, System } from './system.js';
import { startTallyring } from './tallyring.js';

/** `npm run drift`: the same real events and the same kills for tallyring and for Cassandra, counted and compared. */
const EVENTS_FILE = join(PROJECT, 'test', 'data', 'changes.jsonl.gz');
const JSON_FILE = join(PROJECT, 'docs', 'drift.json');
const CONTESTANTS = 4;

interface Options {
  only?: 'cassandra' | 'tallyring';
  seconds: number;
  inFlight: number;
}

interface Started {
  system: System;
  contestants: Contestant[];
  versions: Record<string, string>;
}

interface Group {
  name: string;
  start(progress: (text: string) => void): Promise<Started>;
}

/** What a run gathers, group by group. */
class Results {
  readonly outcomes: Outcome[] = [];
  readonly versions: Record<string, string> = { node: process.versions.node };
  readonly failures: string[] = [];
  readonly #planned: number;
  #begun = 0;

  constructor(planned: number) {
    this.#planned = planned;
  }

  nextLine(name: string) {
    return createProgressLine(process.stderr, `[${++this.#begun}/${this.#planned}] ${name}`);
  }
}

function parseOptions(): Options {
  const positive = (text: string) => {
    const value = Number(text);
    if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('must be a positive number');
    return value;
  };
  return new Command('drift')
    .description(
      'Counts real events while nodes are killed, in tallyring and in Cassandra; compares each total.',
    )
    .addOption(new Option('--only <system>', 'run just this one').choices(['cassandra', 'tallyring']))
    .option('--seconds <n>', 'time over which the events are spread in each run', positive, 75)
    .option('--in-flight <n>', 'events under way at most', positive, 128)
    .parse()
    .opts<Options>();
}

/** Starts a group's system and runs its contestants one after the other; a failure is noted, not thrown. */
async function runGroup(group: Group, load: Load, results: Results): Promise<void> {
  const starting = createProgressLine(process.stderr, `${group.name}: three nodes`);
  let started: Started | undefined;
  try {
    started = await group.start(starting.show);
    starting.end('up');
    Object.assign(results.versions, started.versions);
    for (const contestant of started.contestants) {
      const line = results.nextLine(contestant.name);
      const outcome = await runContestant(contestant, started.system, { load, progress: line.show });
      results.outcomes.push(outcome);
      const { tooMany, lost } = outcome.drift;
      line.end(`${tooMany.events} events too many, ${lost.events} lost`);
    }
  } catch (error) {
    results.failures.push(
      `${group.name} has no figures: ${error instanceof Error ? error.message : String(error)}`,
    );
    console.error(results.failures.at(-1));
  } finally {
    await started?.system.stop();
  }
}

async function main(): Promise<void> {
  const options = parseOptions();
  const processes = new ProcessGroup();
  process.on('exit', () => processes.killAll());
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => process.exit(code));
  const [events, truth] = [await eventsOf(EVENTS_FILE), await truthOf(EVENTS_FILE)];
  const totals = new Map([...truth.totals].map(([name, { count }]) => [name, count]));
  const { seconds, inFlight } = options;
  const load: Load = { events, truth: totals, kills: killsOf(events.length), seconds, inFlight };
  const missing = options.only === 'tallyring' ? 'not asked for' : missingForPeer();
  const results = new Results(options.only || missing !== undefined ? CONTESTANTS / 2 : CONTESTANTS);
  if (missing !== undefined) console.error(`Cassandra is left out: ${missing}`);
  else {
    const peersFolder = join(PROJECT, '.tallyring', 'peers');
    const start = (progress: (text: string) => void) =>
      startCassandraPeer({ peersFolder, processes, progress });
    await runGroup({ name: 'Cassandra', start }, load, results);
  }
  if (options.only !== 'cassandra') {
    for (const way of ['sdk', 'plain'] as const)
      await runGroup({ name: 'tallyring', start: () => startTallyring(way, processes) }, load, results);
  }
  report(load, results);
}

function report(load: Load, { outcomes, versions, failures }: Results): void {
  console.log(renderTable(outcomes));
  console.log(renderSetup(load, outcomes));
  console.log(
    `Versions: ${Object.entries(versions)
      .map((pair) => pair.join(' '))
      .join(', ')}`,
  );
  for (const failure of failures) console.log(failure);
  if (outcomes.length === CONTESTANTS) {
    mkdirSync(dirname(JSON_FILE), { recursive: true });
    writeFileSync(JSON_FILE, toJson(load, outcomes, versions));
    console.log('Written: docs/drift.json');
  } else console.log('docs/drift.json is left as it is: it takes a run of all systems');
  const isBroken = outcomes.some((outcome) => outcome.contestant.promise !== undefined && !isKept(outcome));
  process.exit(isBroken || failures.length > 0 ? 1 : 0);
}

await main();
