import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { configHash } from '../../../node/gossip/admission.js';
import { decodeMessage, encodeMessage, type Message } from '../../../node/gossip/codec.js';
import { declareFacts, deltaSince } from '../../../node/gossip/state.js';
import { defaultFacts } from './harness.js';

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });
const header = { cluster: 'c', configHash: 'h', nodeId: 'n1', storeId: 's', generation: 1_700_000_000_000 };
const blank = { nodeId: 'n2', generation: 1_700_000_000_001, heartbeat: 7, facts: new Map() };
const message: Message = {
  header,
  digests: [{ nodeId: 'n3', generation: 5, maxVersion: 2 ** 40 }],
  deltas: [deltaSince(declareFacts(blank, { ...defaultFacts('n2'), load: 1.5, wallMs: 1.7e12 }), 0)],
};

/** The message with one of its nested parts replaced; with CUT, that part and those after it are missing. */
const CUT = Symbol('cut');
function forged(path: readonly number[], value: unknown): Buffer {
  const parts: unknown = packr.unpack(encodeMessage('ack', message));
  let list = parts as unknown[];
  for (const index of path.slice(0, -1)) list = list[index] as unknown[];
  const last = path.at(-1)!;
  if (value === CUT) list.length = last;
  else list[last] = value;
  return packr.pack(parts);
}

describe('gossip codec', () => {
  it('gives back what was encoded, facts of newer software included', () => {
    const facts = new Map([...message.deltas[0]!.facts, ['novelty', { value: 'x', version: 99 }]] as const);
    const sent = { ...message, deltas: [{ ...message.deltas[0]!, facts }] };
    expect(decodeMessage('ack', encodeMessage('ack', sent))).toEqual(sent);
  });

  const malformed: [string, number[], unknown][] = [
    ['no header', [2], CUT],
    ['a header that is no array', [2], 'x'],
    ['a header too long', [2, 5], 1],
    ['a header too short', [2, 4], CUT],
    ['a generation of text', [2, 4], '5'],
    ['a negative generation', [2, 4], -1],
    ['a bigint generation', [2, 4], 2n ** 60n],
    ['an empty nodeId', [2, 2], ''],
    ['a cluster name too long', [2, 0], 'c'.repeat(257)],
    ['half a digest', [3, 2], CUT],
    ['too many digests', [3], Array(3_003).fill(0)],
    ['too many deltas', [4], Array(1_001).fill(['n2', 1, 1, 0, []])],
    ['a fractional heartbeat', [4, 0, 2], 1.5],
    ['a delta too short', [4, 0, 4], CUT],
    ['half a fact', [4, 0, 4, 2], CUT],
    ['too many facts', [4, 0, 4], Array(65).fill(['x', 'y', 1]).flat()],
    ['an unknown status', [4, 0, 4], ['status', 'happy', 1]],
    ['a port of text', [4, 0, 4], ['port', '80', 1]],
    ['a clock that is no number', [4, 0, 4], ['wallMs', Number.NaN, 1]],
    ['a load of text', [4, 0, 4], ['load', 'high', 1]],
    ['a nested fact', [4, 0, 4], ['novelty', {}, 1]],
    ['another kind', [1], 1],
    ['a format of text', [0], 'one'],
  ];
  it.each(malformed)('refuses %s with INVALID_ARGUMENT', (_, path, value) => {
    expect(() => decodeMessage('ack', forged(path, value))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('refuses another format with FAILED_PRECONDITION', () => {
    const newer = forged([0], 2);
    expect(() => decodeMessage('ack', newer)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(/format 2/) }),
    );
  });

  it('answers truncated, flipped and random bytes with a typed error or a well-formed message', () => {
    const whole = encodeMessage('ack', message);
    const cut = fc.nat(whole.length - 1).map((length) => whole.subarray(0, length));
    const flipped = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
      const copy = Buffer.from(whole);
      copy[at] = byte;
      return copy;
    });
    fc.assert(
      fc.property(fc.oneof(cut, flipped, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        try {
          const decoded = decodeMessage('ack', Buffer.from(bytes));
          encodeMessage('ack', decoded);
        } catch (error) {
          expect(['INVALID_ARGUMENT', 'FAILED_PRECONDITION']).toContain((error as { code: string }).code);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('configHash', () => {
  it('covers rollups as a set and replication, whatever their order', () => {
    const base = configHash({ rollups: ['total', 'day'], replication: { a: 3, b: 2 } });
    expect(configHash({ rollups: ['day', 'total'], replication: { b: 2, a: 3 } })).toBe(base);
    expect(configHash({ rollups: ['total'], replication: { a: 3, b: 2 } })).not.toBe(base);
    expect(configHash({ rollups: ['total', 'day'], replication: { a: 2, b: 2 } })).not.toBe(base);
    expect(configHash({ rollups: ['total', 'day'], replication: { a: 3 } })).not.toBe(base);
  });
});
