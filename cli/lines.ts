import { isUtf8 } from 'node:buffer';

/** A line that cannot be read as text, and why. */
export interface UnreadableLine {
  unreadable: string;
}
export type Line = string | UnreadableLine;

/** Nothing but white space: no request and no event. */
export function isBlank(line: Line): boolean {
  return typeof line === 'string' && line.trim() === '';
}

export const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 10;

/**
 * Splits bytes into lines, many at a time: all that end in one chunk come as one array. A line over
 * `maxLineBytes`, or that is not UTF-8, comes as unreadable; memory stays within a chunk and a line.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  maxLineBytes = MAX_LINE_BYTES,
): AsyncGenerator<Line[]> {
  let rest: Buffer | undefined;
  // Inside a line that is already too long: drop up to its end.
  let skipping = false;
  for await (const chunk of chunks) {
    let block = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (skipping) {
      const end = block.indexOf(NEWLINE);
      if (end === -1) continue;
      block = block.subarray(end + 1);
      skipping = false;
    }
    if (rest !== undefined) block = Buffer.concat([rest, block]);
    const end = block.lastIndexOf(NEWLINE);
    const lines = end === -1 ? [] : splitBlock(block.subarray(0, end), maxLineBytes);
    rest = end === block.length - 1 ? undefined : Buffer.from(block.subarray(end + 1));
    if (rest !== undefined && rest.length > maxLineBytes) {
      lines.push(tooLong(maxLineBytes));
      rest = undefined;
      skipping = true;
    }
    if (lines.length > 0) yield lines;
  }
  if (rest !== undefined) yield splitBlock(rest, maxLineBytes);
}

function tooLong(maxLineBytes: number): UnreadableLine {
  return { unreadable: `line is longer than ${maxLineBytes} bytes` };
}

function splitBlock(block: Buffer, maxLineBytes: number): Line[] {
  if (isUtf8(block)) {
    const lines: Line[] = block.toString().split('\n');
    // A UTF-16 unit is at most three bytes of UTF-8.
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i] as string;
      if (line.length * 3 > maxLineBytes && Buffer.byteLength(line) > maxLineBytes)
        lines[i] = tooLong(maxLineBytes);
    }
    return lines;
  }
  const lines: Line[] = [];
  for (let from = 0; from <= block.length; ) {
    const newline = block.indexOf(NEWLINE, from);
    const to = newline === -1 ? block.length : newline;
    const line = block.subarray(from, to);
    if (line.length > maxLineBytes) lines.push(tooLong(maxLineBytes));
    else lines.push(isUtf8(line) ? line.toString() : { unreadable: 'line is not UTF-8' });
    from = to + 1;
  }
  return lines;
}
