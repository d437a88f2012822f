import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { buildMutants } from './build.js';
import { type Hunted, type HuntIn, huntAll } from './hunt.js';
import { MUTANTS } from './index.js';
import type { Mutant } from './mutant.js';
import { profileHunts } from './profile-hunts.js';

const USAGE = 'usage: npm run test:mutants -- [names...] [--from S] [--ranges R] [--profiles]';
const HELP = `${USAGE}

Plants one bug at a time into a copy of the product and runs simulated seeds until a checker finds it.

  names        only these mutants (default: all)
  --from S     the first seed (default: 1)
  --ranges R   as many disjoint ranges of seeds, told apart and the worst of them (default: 1)
  --profiles   instead, the same seeds without any bug: nothing may be found
  --help       print this

Exit codes: 0 each mutant was caught within its seeds, 1 one was not, 2 usage.`;
/** Ranges of seeds do not overlap, whatever a mutant is given. */
const RANGE_SEEDS = 1_000;

interface Arguments {
  mutants: readonly Mutant[];
  from: number;
  ranges: number;
  profiles: boolean;
  help: boolean;
}

function parse(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      from: { type: 'string', default: '1' },
      ranges: { type: 'string', default: '1' },
      profiles: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = positionals.filter((name) => !MUTANTS.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown.join(', ')}`);
  const whole = (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${text} is no number of that kind`);
    return value;
  };
  return {
    mutants: positionals.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => positionals.includes(name)),
    from: whole(values.from),
    ranges: whole(values.ranges),
    profiles: values.profiles,
    help: values.help,
  };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Runs every mutant in every range; gives back the names of those that a range did not catch. */
async function hunted({ mutants, from, ranges }: Arguments): Promise<string[]> {
  const builds = buildMutants(mutants);
  const starts = Array.from({ length: ranges }, (_, i) => from + i * RANGE_SEEDS);
  const hunts = mutants.flatMap((mutant) =>
    starts.map((start): HuntIn & { mutant: Mutant } => ({
      mutant,
      folder: builds.folderOf(mutant),
      profile: mutant.profile,
      from: start,
      within: mutant.within,
      ...(mutant.by && { by: mutant.by }),
    })),
  );
  const seedsOf = (index: number, { find }: Hunted) =>
    find === undefined ? undefined : find.seed - hunts[index]!.from + 1;
  try {
    const outcomes = await huntAll(hunts, (index, outcome) => {
      const { mutant } = hunts[index]!;
      const seeds = seedsOf(index, outcome);
      const what = seeds === undefined ? 'NOT CAUGHT' : `${seeds} seeds: ${outcome.find!.check}`;
      console.error(`${mutant.name}: ${what}, ${seconds(outcome.tookMs)}`);
    });
    const table = new Table({
      head: ['mutant', 'profile', 'caught by', 'at seed', 'seeds', 'within', 'took'],
      style: { head: [], border: [], compact: true },
    });
    const missed = new Set<string>();
    for (const [index, outcome] of outcomes.entries()) {
      const { name, profile, within } = hunts[index]!.mutant;
      const { find, tookMs } = outcome;
      if (find === undefined) missed.add(name);
      const seen = find === undefined ? ['NOT CAUGHT', ''] : [find.check, find.seed];
      table.push([name, profile, ...seen, seedsOf(index, outcome) ?? '', within, seconds(tookMs)]);
    }
    console.log(table.toString());
    return [...missed];
  } finally {
    builds.remove();
  }
}

/** The same seeds without a bug; gives back what was found. */
async function unmutated({ mutants, from }: Arguments): Promise<string[]> {
  const builds = buildMutants([]);
  try {
    const folder = builds.original;
    const hunts = profileHunts(mutants, from).map((hunt) => ({ ...hunt, folder }));
    const outcomes = await huntAll(hunts, (index, { find, tookMs }) => {
      const { profile, within } = hunts[index]!;
      const what = find === undefined ? 'nothing' : `seed ${find.seed}: ${find.check}: ${find.detail}`;
      console.log(`${profile}, ${within} seeds: ${what}, ${seconds(tookMs)}`);
    });
    return hunts.filter((_, index) => outcomes[index]!.find !== undefined).map(({ profile }) => profile);
  } finally {
    builds.remove();
  }
}

async function main(): Promise<void> {
  let options: Arguments;
  try {
    options = parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    console.log(HELP);
    return;
  }
  const wrong = options.profiles ? await unmutated(options) : await hunted(options);
  if (wrong.length === 0) return;
  console.log(
    options.profiles ? `found without a bug: ${wrong.join(', ')}` : `NOT CAUGHT: ${wrong.join(', ')}`,
  );
  process.exitCode = 1;
}

await main();
