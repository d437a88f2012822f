/**
 * As much of Redis' protocol (RESP2) as a load needs: commands out; replies that are integers, simple
 * strings, errors or bulk strings in.
 */
export type Reply = number | string | null | Error;

/** A command as the bytes of an array of bulk strings. */
export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}

const CR = 13;

/** Turns chunks of a connection, cut anywhere, into replies. */
export class ReplyParser {
  private rest: Buffer = Buffer.alloc(0);

  /** The replies that `chunk` completes, in order. Throws on bytes that are no reply. */
  push(chunk: Buffer): Reply[] {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const replies: Reply[] = [];
    let at = 0;
    for (;;) {
      const reply = readReply(bytes, at);
      if (!reply) break;
      replies.push(reply.value);
      at = reply.next;
    }
    this.rest = bytes.subarray(at);
    return replies;
  }
}

function readReply(bytes: Buffer, at: number): { value: Reply; next: number } | undefined {
  const end = bytes.indexOf(CR, at);
  if (end < 0 || end + 1 >= bytes.length) return undefined;
  const line = bytes.toString('latin1', at + 1, end);
  const next = end + 2;
  switch (bytes[at]) {
    case 0x3a: // :
      return { value: Number(line), next };
    case 0x2b: // +
      return { value: line, next };
    case 0x2d: // -
      return { value: new Error(line), next };
    case 0x24: {
      // $
      const length = Number(line);
      if (length < 0) return { value: null, next };
      if (bytes.length < next + length + 2) return undefined;
      return { value: bytes.toString('utf8', next, next + length), next: next + length + 2 };
    }
    default:
      throw new Error(`not a Redis reply: ${JSON.stringify(bytes.toString('latin1', at, at + 20))}`);
  }
}
