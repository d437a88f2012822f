import type { Command } from 'commander';
import type { Environment } from './environment.js';
import type { ExitCode } from './exit.js';

/** The verbs about the event log on the command line. */

// biome-ignore lint/suspicious/noExplicitAny: commander's options are untyped; each verb names what it takes.
type Options = any;
export type Action = (words: string[], options: Options) => Promise<ExitCode>;
export type AddVerb = (parent: Command, syntax: string, description: string, action: Action) => Command;

export function addDeadLetterVerbs(program: Command, environment: Environment, verb: AddVerb): void {
  const verbs = () => import('./dead-letters.js');
  const parent = program.command('deadletter').description('events of the log that cannot be counted');
  const about = (command: Command) =>
    command
      .option('--log <host:port>', "the event log (default: cluster.yml's)")
      .option('--reason <word>', 'only those with this reason')
      .option('--timeout <ms>', 'deadline of each call, milliseconds (default: 5000)');
  about(
    verb(parent, 'list', 'show them, each with its reason', async (_words, options) =>
      (await verbs()).listDeadLetters(environment, options),
    ),
  ).option('--limit <n>', 'how many (default: 100)');
  about(
    verb(
      parent,
      'replay [keys...]',
      'put events into the log again, corrected where need be; each counts once however often it is replayed',
      async (keys, options) => (await verbs()).replayDeadLetters(environment, keys, options),
    ),
  )
    .option('--all', 'all that were not replayed yet')
    .option(
      '--set <field=value>',
      'correct a field of them: videoId, eventType, timestamp or value',
      collect,
      [],
    );
}

export function addRecountVerb(program: Command, environment: Environment, asking: AddVerb): void {
  asking(
    program,
    'recount',
    'compare the counters with what the event log says, cell by cell',
    async (_words, options) => (await import('./recount.js')).recountVerb(environment, options),
  )
    .option('--key <key>', 'this key alone')
    .option('--repair', 'correct what is wrong')
    .option('--log <host:port>', "the event log (default: cluster.yml's)")
    .option('--limit <n>', 'wrong cells shown (default: 100)')
    .option(
      '--max-cells <n>',
      'cells in memory at once: the log is read anew for every so many (default: 500000)',
    )
    .addHelpText('after', RECOUNT_HELP);
}

const RECOUNT_HELP = `
Each partition is recounted as its owner: whoever counts it stands by meanwhile. Only what came through this log under
this pipeline is known: another pipeline that counts the same keys would be taken for an error. Windows that may have
events which the log does not hold any more are not compared; the report says how many.

Exit codes: 0 nothing is wrong, or all of it was repaired; 1 something is left, or was not recounted.`;

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}
