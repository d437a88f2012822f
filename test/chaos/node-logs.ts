import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';

const PIECE_BYTES = 1024 * 1024;

/** What nodes wrote to their logs since a run began. */
export class NodeLogs {
  readonly #from: Map<string, number>;

  constructor(files: readonly string[]) {
    this.#from = new Map(files.map((file) => [file, existsSync(file) ? statSync(file).size : 0]));
  }

  /** How often a text stands there. */
  count(file: string, text: string): number {
    if (!existsSync(file)) return 0;
    const { size } = statSync(file);
    const start = this.#from.get(file) ?? 0;
    const descriptor = openSync(file, 'r');
    let times = 0;
    let rest = '';
    try {
      // A file that became smaller was begun anew.
      for (let at = start <= size ? start : 0; at < size; at += PIECE_BYTES) {
        const piece = Buffer.alloc(Math.min(PIECE_BYTES, size - at));
        readSync(descriptor, piece, 0, piece.length, at);
        const parts = `${rest}${piece.toString('latin1')}`.split(text);
        times += parts.length - 1;
        // A text that lies across two pieces.
        rest = parts.at(-1)!.slice(1 - text.length);
      }
    } finally {
      closeSync(descriptor);
    }
    return times;
  }
}
