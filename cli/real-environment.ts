import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
    nowMs: () => Date.now(),
    connect: async (address) => {
      const { connectOperator } = await import('../client/transport/grpc.js');
      return connectOperator(address);
    },
    openSink: async (options) => {
      const { openSdkSink } = await import('./sdk-sink.js');
      return openSdkSink(options);
    },
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

function terminal(stream: NodeJS.WriteStream): Terminal {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `tallyring ring | head`: the reader has seen enough.
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  return {
    get isTty() {
      return stream.isTTY === true;
    },
    get columns() {
      return stream.columns ?? 80;
    },
    write: (text) =>
      new Promise((resolve) => {
        stream.write(text, () => resolve());
      }),
  };
}
