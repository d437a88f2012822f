import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ProcessGroup } from './processes.js';

/**
 * Loads run in processes of their own, so that cluster and load share the cores as they would in life. The
 * orchestrator calls a worker's methods over Node's IPC: {id, method, argument} → {id, result | error}.
 */
interface Call {
  id: number;
  method: string;
  argument: unknown;
}
type Answer = { id: number; result: unknown } | { id: number; error: string } | { progress: string };

// biome-ignore lint/suspicious/noExplicitAny: each handler knows its own argument; IPC cannot.
export type Handlers = Record<string, (argument: any) => Promise<unknown> | unknown>;

/** Answers calls until the orchestrator is gone. The last line of every worker file. */
export function serveWorker(handlers: Handlers): void {
  process.on('message', (call: Call) => {
    void answer(handlers, call).then(send);
  });
  process.on('disconnect', () => process.exit(0));
  send({ progress: '' });
}

async function answer(handlers: Handlers, call: Call): Promise<Answer> {
  try {
    const handler = handlers[call.method];
    if (!handler) throw new Error(`no method ${call.method}`);
    return { id: call.id, result: await handler(call.argument) };
  } catch (error) {
    return { id: call.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function send(answer: Answer): void {
  process.send?.(answer);
}

/** Shown behind the benchmark's name while it runs. */
export function reportProgress(text: string): void {
  send({ progress: text });
}

export interface Worker {
  readonly pid: number;
  call<T>(method: string, argument?: unknown): Promise<T>;
  stop(): void;
}

/** Starts bench/workers/`name`. Its pending calls fail when the process ends. */
export function startWorker(
  processes: ProcessGroup,
  name: string,
  onProgress: (text: string) => void,
): Worker {
  const file = fileURLToPath(new URL(`./workers/${name}.js`, import.meta.url));
  const child = processes.fork(file, { serialization: 'advanced' });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let nextId = 1;
  child.on('message', (answer: Answer) => {
    if ('progress' in answer) {
      onProgress(answer.progress);
      return;
    }
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) call?.reject(new Error(`${name}: ${answer.error}`));
    else call?.resolve(answer.result);
  });
  child.on('exit', (code, signal) => {
    for (const call of waiting.values()) call.reject(new Error(`${name} ended (${signal ?? code})`));
    waiting.clear();
  });
  return {
    pid: child.pid!,
    call: <T>(method: string, argument?: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        sendCall(child, { id, method, argument }, reject);
      }),
    stop: () => {
      child.kill('SIGKILL');
    },
  };
}

function sendCall(child: ChildProcess, call: Call, onError: (error: Error) => void): void {
  if (!child.connected) {
    onError(new Error('the worker has ended'));
    return;
  }
  child.send(call, (error) => {
    if (error) onError(error);
  });
}
