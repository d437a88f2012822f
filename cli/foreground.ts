import { mkdirSync } from 'node:fs';
import type { Logger } from '../ports/logger.js';
import { asTallyringError } from '../proto/errors.js';
import type { CommonOptions } from './contact.js';
import { dataFolderOf } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { claimPidFile, nodeFolder, releasePidFile } from './state-folder.js';

/** A node or service in this process, until SIGTERM or SIGINT. */
export interface Foreground {
  id: string;
  options: CommonOptions;
  logLevel: string;
  /** For people, where a failure to start has a reason of its own. */
  explain?(error: unknown): unknown;
  start(parts: ForegroundParts): Promise<RunningPart>;
}

export interface ForegroundParts {
  logger: Logger;
  /** Of this part alone. */
  folder: string;
  /** Aborts when the process is asked to end. */
  signal: AbortSignal;
  /** Ends the process with this error. */
  fail(error: Error): void;
}

export interface RunningPart {
  stop(): Promise<void>;
  /** Of `--json`, once it runs. */
  facts: Record<string, unknown>;
}

export async function runForeground(environment: Environment, part: Foreground): Promise<ExitCode> {
  const { id, options, logLevel } = part;
  const data = dataFolderOf(environment, options);
  const folder = nodeFolder(data, id);
  mkdirSync(folder, { recursive: true });
  claimPidFile(data, id, process.pid);
  const end = new AbortController();
  environment.onInterrupt(() => end.abort());
  const ended = new Promise<void>((resolve) => end.signal.addEventListener('abort', () => resolve()));
  let fail = (_error: Error) => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  try {
    const { pino } = await import('pino');
    const logger = pino({ level: logLevel, base: { node: id } });
    const running = await part.start({ logger, folder, signal: end.signal, fail });
    if (options.json) {
      await environment.stdout.write(`${JSON.stringify({ ...running.facts, pid: process.pid })}\n`);
    }
    await Promise.race([ended, failed]);
    logger.info({}, 'stopping');
    await running.stop();
    return EXIT.done;
  } catch (error) {
    // It was asked to end before it had started.
    if (end.signal.aborted) return EXIT.done;
    throw part.explain?.(error) ?? asTallyringError(error);
  } finally {
    releasePidFile(data, id, process.pid);
  }
}
