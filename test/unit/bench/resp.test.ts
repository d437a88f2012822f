import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCommand, type Reply, ReplyParser } from '../../../bench/redis/resp.js';

describe('ReplyParser', () => {
  const bytes = Buffer.from(':12\r\n+OK\r\n$5\r\nha\r\nm\r\n$-1\r\n:-3\r\n$0\r\n\r\n');
  const replies: Reply[] = [12, 'OK', 'ha\r\nm', null, -3, ''];

  it('reads replies however the connection cuts them', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length })), (cuts) => {
        const parser = new ReplyParser();
        const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const read = edges.slice(1).flatMap((edge, i) => parser.push(bytes.subarray(edges[i], edge)));
        expect(read).toEqual(replies);
      }),
    );
  });
  it('gives an error reply back as an error', () => {
    const [reply] = new ReplyParser().push(Buffer.from('-ERR no such thing\r\n'));
    expect(reply).toBeInstanceOf(Error);
    expect((reply as Error).message).toBe('ERR no such thing');
  });
  it('throws on what is no reply', () => {
    expect(() => new ReplyParser().push(Buffer.from('HTTP/1.1 400\r\n'))).toThrow('not a Redis reply');
  });
});

describe('encodeCommand', () => {
  it('counts bytes, not characters', () => {
    expect(encodeCommand(['SET', 'é', '1']).toString()).toBe('*3\r\n$3\r\nSET\r\n$2\r\né\r\n$1\r\n1\r\n');
  });
});
