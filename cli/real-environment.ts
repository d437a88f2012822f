import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { quoted } from './command-line.js';
import type { Environment, Terminal } from './environment.js';
import { EXIT } from './exit.js';

/** The real thing. Transport and SDK are loaded when a verb needs them: they take most of the start-up. */
export function realEnvironment(): Environment {
  return {
    stdin: process.stdin,
    stdout: terminal(process.stdout),
    stderr: terminal(process.stderr),
    cwd: process.cwd(),
    projectRoot: projectRoot(),
    version: versionOf(projectRoot()),
    command: commandName({
      called: process.argv[1] ?? '',
      script: join(projectRoot(), 'bin', 'tallyring'),
      cwd: process.cwd(),
      searchPath: process.env.PATH ?? '',
    }),
    nowMs: () => Date.now(),
    sleep: (ms) => sleep(ms),
    connect: async (address) => {
      const { connectOperator } = await import('../client/transport/grpc.js');
      return connectOperator(address);
    },
    openSink: async (options) => {
      const { openSdkSink } = await import('./sdk-sink.js');
      return openSdkSink(options);
    },
    openClient: async (contactPoints) => {
      const { connect } = await import('../client/index.js');
      return connect<'bigint'>({ contactPoints, int64: 'bigint' });
    },
    openLog: async (place, timeoutMs) => {
      const { openLog } = await import('../services/log/open-log.js');
      const log = await openLog(place, timeoutMs);
      return { log, deadLetters: log.deadLetters };
    },
    http: async (request) => (await import('./http.js')).httpRequest(request),
    onInterrupt: (callback) => {
      const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
      for (const signal of signals) process.on(signal, callback);
      return () => {
        for (const signal of signals) process.off(signal, callback);
      };
    },
  };
}

/** The folder of package.json: above cli/ in the sources, above dist/cli/ when built. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

/**
 * What to type for the command from `cwd`: `tallyring` when it is installed (found on the search path, or
 * called by a link), else the way to the project's own script.
 */
export function commandName(call: {
  called: string;
  script: string;
  cwd: string;
  searchPath: string;
}): string {
  const { called, script, cwd, searchPath } = call;
  const here = relative(cwd, script);
  if (here === join('bin', 'tallyring')) return './bin/tallyring';
  const isOnPath = searchPath.split(delimiter).some((folder) => resolve(cwd, folder) === dirname(script));
  if (called !== script || isOnPath) return 'tallyring';
  return quoted(here.startsWith('..') ? here : `./${here}`);
}

/** What a write fails with when nobody reads any more: a pipe that is closed, a terminal that is gone. */
const GONE = ['EPIPE', 'EIO'];

/**
 * `tallyring ring | head`: the reader has seen enough. Whoever must end in order, since others depend on it, is
 * interrupted instead.
 */
function onReaderGone(): void {
  if (process.listenerCount('SIGHUP') === 0) process.exit(EXIT.done);
  process.emit('SIGHUP', 'SIGHUP');
}

function terminal(stream: NodeJS.WriteStream): Terminal {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!GONE.includes(error.code ?? '')) throw error;
    onReaderGone();
  });
  return {
    get isTty() {
      return stream.isTTY === true;
    },
    get columns() {
      // Some terminals do not know their size and say 0.
      return stream.columns || 80;
    },
    write: (text) =>
      new Promise((resolve) => {
        stream.write(text, () => resolve());
      }),
  };
}
