import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { counterService, Malformed, peerService } from '../../../proto/load.js';
import { shapeOf, wireFault } from '../../../proto/wire-check.js';

const { Increment, BatchIncrement, Flush } = counterService;

function fault(decoded: unknown): string {
  return decoded instanceof Malformed ? decoded.error.message : 'none';
}

describe('messages that protobufjs would take', () => {
  const whole = Increment.requestSerialize({ key: 'video-1', eventType: 'view', value: 300, consistency: 4 });

  it('takes a whole message', () => {
    expect(Increment.requestDeserialize(whole)).toMatchObject({ key: 'video-1', value: '300' });
  });

  it('refuses a message that is cut short, wherever it is cut inside a field', () => {
    const boundaries = new Set([0, 9, 15, 18, whole.length]);
    for (let length = 0; length <= whole.length; length++) {
      const decoded = Increment.requestDeserialize(whole.subarray(0, length));
      expect([length, decoded instanceof Malformed]).toEqual([length, !boundaries.has(length)]);
    }
  });

  it('refuses a nested message that is cut short while its parent is whole', () => {
    // items { key: length 5, but only 2 bytes left in the item }, then a consistency field
    const bytes = Buffer.from([0x0a, 0x04, 0x0a, 0x05, 0x61, 0x62, 0x10, 0x01]);
    expect(fault(BatchIncrement.requestDeserialize(bytes))).toContain('IncrementItem.key is cut short');
  });

  it('refuses wrong wire types, ill-formed UTF-8, groups, and field number 0', () => {
    expect(fault(Increment.requestDeserialize(Buffer.from([0x08, 0x01])))).toContain(
      'key has the wrong type',
    );
    expect(fault(Increment.requestDeserialize(Buffer.from([0x0a, 1, 0xff])))).toContain('key is not UTF-8');
    expect(fault(Increment.requestDeserialize(Buffer.from([0x9b, 0x06])))).toContain('wire type 3');
    expect(fault(Increment.requestDeserialize(Buffer.from([0x00, 0x01])))).toContain('tag');
  });

  it('refuses what protobufjs throws at: a number in more bytes than it needs, at the end', () => {
    const bytes = Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
    expect(fault(BatchIncrement.requestDeserialize(bytes))).toContain('out of range');
  });

  it('takes unknown fields, and repeated numbers packed or not', () => {
    const unknown = Buffer.concat([whole, Buffer.from([0xfa, 0x06, 2, 1, 2])]);
    expect(Increment.requestDeserialize(unknown)).not.toBeInstanceOf(Malformed);
    const packed = Buffer.from([0x12, 0x04, 0x0a, 0x02, 0x01, 0x02]);
    const apart = Buffer.from([0x12, 0x04, 0x08, 0x01, 0x08, 0x02]);
    for (const bytes of [packed, apart]) {
      expect(Flush.responseDeserialize(bytes)).toMatchObject({ failures: [{ indexes: [1, 2] }] });
    }
  });

  it('never throws and never reads past the end, whatever the bytes', () => {
    const shape = shapeOf(
      { name: 'M', field: [{ name: 'a', number: 1, label: '', type: 'TYPE_STRING', typeName: '' }] },
      () => undefined,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const buffer = Buffer.from(bytes);
        wireFault(shape, buffer);
        for (const method of [Increment, BatchIncrement, Flush, peerService.Exchange]) {
          method.requestDeserialize(buffer);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
