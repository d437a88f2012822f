import { createReadStream, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Environment } from './environment.js';
import { usage } from './exit.js';

/** Where events are read from, and how far the reading is, in bytes of the file. */
export interface Source {
  chunks: AsyncIterable<Uint8Array>;
  totalBytes: number | undefined;
  bytesRead(): number;
  /** Ends the reading, which may throw then. */
  stop(): void;
}

/** Opens a file (gzip by its first bytes, whatever its name), or standard input for `-`. Throws INVALID_ARGUMENT. */
export function openSource(environment: Environment, file: string): Source {
  let bytesRead = 0;
  let totalBytes: number | undefined;
  let open = (): AsyncIterable<Uint8Array> => environment.stdin;
  if (file !== '-') {
    const path = resolve(environment.cwd, file);
    totalBytes = sizeOf(path);
    open = () => createReadStream(path, { highWaterMark: 16 * 1024 });
  }
  let raw: AsyncIterable<Uint8Array> | undefined;
  async function* counted() {
    // Not before somebody reads: until then nobody would hear of its failure.
    raw = open();
    for await (const chunk of raw) {
      bytesRead += chunk.length;
      yield chunk;
    }
  }
  return {
    chunks: gunzipIfNeeded(counted()),
    totalBytes,
    bytesRead: () => bytesRead,
    stop: () => (raw as Partial<Readable> | undefined)?.destroy?.(),
  };
}

function sizeOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw usage(`no such file: ${path}`);
  if (stat.isDirectory()) throw usage(`${path} is a folder; give a .jsonl or .jsonl.gz file`);
  return stat.size;
}

async function* gunzipIfNeeded(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await chunks.next();
    if (done === true) break;
    head = Buffer.concat([head, value]);
  }
  async function* all() {
    yield head;
    yield* chunks;
  }
  if (head[0] === 0x1f && head[1] === 0x8b) yield* gunzip(all());
  else yield* all();
}

/**
 * Unpacks by hand rather than through a pipe: what came out before a damaged or cut end is handed on first,
 * and only then the error.
 */
async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip();
  let failure: Error | undefined;
  let ended = false;
  const out: Buffer[] = [];
  let wake = () => {};
  unzip.on('data', (chunk: Buffer) => {
    out.push(chunk);
    wake();
  });
  unzip.on('error', (error) => {
    failure = error;
    wake();
  });
  unzip.on('end', () => {
    ended = true;
    wake();
  });
  const change = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (failure !== undefined || ended) resolve();
    });
  for await (const chunk of chunks) {
    let written = false;
    unzip.write(chunk, () => {
      written = true;
      wake();
    });
    while (!written && failure === undefined) {
      await change();
      yield* out.splice(0);
    }
    if (failure !== undefined) break;
  }
  if (failure === undefined) unzip.end();
  while (!ended && failure === undefined) {
    await change();
    yield* out.splice(0);
  }
  yield* out.splice(0);
  if (failure !== undefined) throw failure;
}
