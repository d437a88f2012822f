import { Command, CommanderError } from 'commander';
import { asTallyringError } from '../proto/errors.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode, errorJson, errorText, exitOf, usage } from './exit.js';
import { type Action, type AddVerb, addDeadLetterVerbs, addRecountVerb } from './log-verbs.js';

/**
 * The command line. Each verb's code is loaded when it runs: `tallyring status` should not pay for what
 * `import` needs.
 */

/** Runs one command line and returns its exit code. Prints failures itself. */
export async function run(words: readonly string[], environment: Environment): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  const program = build(environment, (outcome) => {
    code = outcome;
  });
  try {
    await program.parseAsync([...words], { from: 'user' });
    return code;
  } catch (error) {
    // Help and version are no failures; everything else that commander throws is wrong usage, already printed.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (words.includes('--json')) await environment.stdout.write(`${errorJson(error)}\n`);
    else await environment.stderr.write(`tallyring: ${errorText(error)}\n`);
    return exitOf(asTallyringError(error));
  }
}

function build(environment: Environment, done: (code: ExitCode) => void): Command {
  const program = new Command('tallyring')
    .description('A masterless counter store that counts every increment exactly once.')
    .version(environment.version)
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 partly, 2 usage, 3 unavailable, 4 in doubt.\nEvery verb takes --json. First steps: npm start, then in another terminal tallyring status.',
    )
    .configureOutput({
      writeOut: (text) => void environment.stdout.write(text),
      writeErr: (text) => void environment.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError('(tallyring --help lists the verbs)');

  /** A verb with the options that all have. */
  function verb(parent: Command, syntax: string, description: string, action: Action): Command {
    return parent
      .command(syntax)
      .description(description)
      .option('--json', 'machine-readable output')
      .option('--config <file>', "cluster.yml (default: that of this folder, else the project's)")
      .action(async (...parts: unknown[]) => {
        const command = parts.pop() as Command;
        const options = parts.pop();
        done(await action([...command.args], options));
      });
  }
  /** A verb that talks to a cluster. */
  function asking(parent: Command, syntax: string, description: string, action: Action): Command {
    return verb(parent, syntax, description, action)
      .option('--host, --contact <host:port,…>', 'nodes to turn to (default: all of cluster.yml)')
      .option('--timeout <ms>', 'deadline of each call, milliseconds (default: 5000)');
  }
  addProcessVerbs(program, environment, verb);
  addOperatorVerbs(program, environment, asking);
  addCounterVerbs(program, environment, asking);
  addDeadLetterVerbs(program, environment, verb);
  addRecountVerb(program, environment, asking);
  return program;
}

const ACCEPT_LOSS_OPTION = [
  '--accept-loss',
  'say that what the store may have lost is not waited for: the node is normal at once, and may lack counts',
] as const;
const DATA_OPTION = ['--data <folder>', 'state folder (default: .tallyring beside cluster.yml)'] as const;

function addProcessVerbs(program: Command, environment: Environment, verb: AddVerb): void {
  verb(
    program,
    'start',
    'run nodes and services of cluster.yml in the foreground until Ctrl-C (npm start)',
    async (_words, options) => (await import('./start.js')).start(environment, options),
  ).option(...DATA_OPTION);
  verb(
    program,
    'node <nodeId>',
    'run one node in this process (for systemd, or another machine)',
    async ([nodeId], options) => (await import('./node.js')).runNodeVerb(environment, nodeId!, options),
  )
    .option(...DATA_OPTION)
    .option('--new-cluster', 'say that no node of this cluster ever had data')
    .option(...ACCEPT_LOSS_OPTION);

  const services = () => import('./service-verbs.js');
  verb(program, 'log', 'run the event log in this process', async (_words, options) =>
    (await services()).runLogVerb(environment, options),
  ).option(...DATA_OPTION);
  verb(program, 'processing', 'run a processing service in this process', async (_words, options) =>
    (await services()).runProcessingVerb(environment, options),
  )
    .option(...DATA_OPTION)
    .option('--name <name>', 'which instance of cluster.yml (default: the first)');
  verb(program, 'query', 'run the query service in this process', async (_words, options) =>
    (await services()).runQueryVerb(environment, options),
  ).option(...DATA_OPTION);

  const cluster = program
    .command('cluster')
    .description("processes on this machine: the nodes, and the services' (log, query, p1 …)");
  const clusterVerbs = () => import('./cluster.js');
  const partVerbs = () => import('./cluster-part.js');
  verb(
    cluster,
    'up',
    'run all nodes and services in the foreground, as start does; with --detach: start them and return',
    async (_words, options) => (await clusterVerbs()).clusterUp(environment, options),
  )
    .option(...DATA_OPTION)
    .option('--detach', 'return once all are up and normal, and leave them running');
  verb(cluster, 'down', 'stop all of them', async (_words, options) =>
    (await clusterVerbs()).clusterDown(environment, options),
  ).option(...DATA_OPTION);
  verb(cluster, 'kill <name>', 'send a node or service a signal', async ([nodeId], options) =>
    (await partVerbs()).clusterKill(environment, nodeId!, options),
  )
    .option(...DATA_OPTION)
    .option('--signal <signal>', 'KILL, TERM, 9 …', 'KILL');
  verb(cluster, 'start <name>', 'start a node or service', async ([nodeId], options) =>
    (await partVerbs()).clusterStart(environment, nodeId!, options),
  )
    .option(...DATA_OPTION)
    .option(...ACCEPT_LOSS_OPTION);
  verb(
    cluster,
    'rebuild <nodeId>',
    "set a node's store aside and rebuild the node from its peers",
    async ([nodeId], options) => (await import('./rebuild.js')).clusterRebuild(environment, nodeId!, options),
  )
    .option(...DATA_OPTION)
    .option('--no-wait', 'return when the node is started, and leave it to itself');
  verb(cluster, 'pause <name>', 'stop a node or service in its tracks (SIGSTOP)', async ([nodeId], options) =>
    (await partVerbs()).clusterSignal(environment, nodeId!, { ...options, resume: false }),
  ).option(...DATA_OPTION);
  verb(cluster, 'resume <name>', 'let a paused one go on (SIGCONT)', async ([nodeId], options) =>
    (await partVerbs()).clusterSignal(environment, nodeId!, { ...options, resume: true }),
  ).option(...DATA_OPTION);
}

function addOperatorVerbs(program: Command, environment: Environment, asking: AddVerb): void {
  const operator = () => import('./operator.js');
  asking(
    program,
    'status',
    'the nodes, as nodetool status shows them, and the services',
    async (_words, options) => (await operator()).status(environment, options),
  );
  asking(program, 'ring', 'the nodes of the ring, and how much each owns', async (_words, options) =>
    (await import('./ring.js')).ring(environment, options),
  ).option('--tokens', 'every token instead');
  asking(program, 'info', 'one node', async (_words, options) =>
    (await operator()).info(environment, options),
  ).option('--node <N>', 'which node (default: the first that answers)');
  asking(program, 'gossipinfo', 'what a node knows of the others by gossip', async (_words, options) =>
    (await operator()).gossipInfo(environment, options),
  );
  asking(
    program,
    'getendpoints <key>',
    'the replicas of a key, in preference order',
    async ([key], options) => (await operator()).getEndpoints(environment, key!, options),
  );
  asking(
    program,
    'verify',
    'read every replica directly and report cells whose replicas differ (and still do some seconds later)',
    async (_words, options) => (await import('./verify.js')).verify(environment, options),
  ).option('--keys-limit <n>', 'cells listed (default: 20)');
}

const LEVEL_OPTION = [
  '--consistency <level>',
  'ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM or EACH_QUORUM',
  'QUORUM',
] as const;

function addCounterVerbs(program: Command, environment: Environment, asking: AddVerb): void {
  const counters = () => import('./counters.js');
  asking(program, 'inc <key> <eventType>', 'count one event', async ([key, eventType], options) =>
    (await counters()).increment(environment, { key: key!, eventType: eventType! }, options),
  )
    .option('--by <n>', 'value of the event (default: 1)')
    .option(
      '--at <time>',
      'time of the event: ISO 8601 with a zone, a day, or epoch milliseconds (default: now)',
    )
    .option(...LEVEL_OPTION);
  asking(
    program,
    'get <key> [eventType]',
    'read a counter; `get -` reads requests {key, eventType, granularity, timestamp} from standard input, one JSON a line',
    async (words, options) => {
      if (words[0] === '-' && words.length === 1)
        return (await import('./bulk.js')).bulkGet(environment, options);
      return (await counters()).get(environment, cellOf(words), options);
    },
  )
    .option('--granularity <g>', 'total, day, hour or minute (default: total)')
    .option('--at <time>', 'a time in the window meant (default: now)')
    .option('--node <N>', 'ask this node')
    .option('--local', 'what that node alone holds')
    .option(...LEVEL_OPTION);
  asking(
    program,
    'stats <key> [eventType]',
    'read a range of time; `stats -` reads requests {key, eventType, start, end, granularity} from standard input',
    async (words, options) => {
      if (words[0] === '-' && words.length === 1)
        return (await import('./bulk.js')).bulkStats(environment, options);
      return (await counters()).stats(environment, cellOf(words), options);
    },
  )
    .option(
      '--from <time>',
      'start of the range, required: ISO 8601 with a zone, a day, or epoch milliseconds',
    )
    .option('--to <time>', 'end of the range, exclusive (default: now)')
    .option('--granularity <g>', 'of the series: day, hour or minute')
    .option('--fill', 'with the empty windows, 10,000 points at most')
    .option(...LEVEL_OPTION);
  asking(
    program,
    'import <file>',
    'count the events of a .jsonl or .jsonl.gz file, - is standard input',
    async ([file], options) => (await import('./import.js')).importFile(environment, file!, options),
  )
    .option('--rate <events/s>', 'at most so many events a second')
    .option('--datacenter <name>', 'whose nodes are asked first')
    .option('--via <way>', 'log: send the events through the log and its processing service')
    .option('--url <url,…>', "the processing service, with --via log (default: cluster.yml's)")
    .option('--from-line <n>', 'start counting at this line of the (unpacked) file, from 1 (default: 1)')
    .option(...LEVEL_OPTION)
    .addHelpText('after', IMPORT_HELP);
}

const IMPORT_HELP = `
A line is a JSON object {videoId, eventType, timestamp, value}; timestamp is required: ISO 8601 with a zone, a day,
or epoch milliseconds; value an integer (1 when absent). Other fields are no matter, eventId neither: the same file
imported twice is counted twice. After an interruption import prints the command that goes on (--from-line) where it
stopped.

With --via log the service counts the events. It knows one that is sent again by its eventId, or else by the
file and the line: within the service's dedupWindow the same file imported twice is counted once.`;

function cellOf(words: readonly string[]): { key: string; eventType: string } {
  const [key, eventType] = words;
  if (eventType !== undefined) return { key: key!, eventType };
  throw usage(
    'eventType is missing: tallyring get KEY TYPE, or - alone to read requests from standard input',
  );
}
