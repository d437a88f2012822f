import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hash64Text } from '../../../../ports/hash.js';
import {
  assign,
  decodeMembers,
  encodeMembers,
  MemberWatch,
} from '../../../../services/processing/members.js';

const weight = (partition: number, name: string) => hash64Text(`${partition} ${name}`);
const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 12 });
const partitions = fc.integer({ min: 1, max: 64 });

describe('assign', () => {
  it('gives every partition to one instance, as evenly as can be', () => {
    fc.assert(
      fc.property(partitions, names, (count, all) => {
        const assigned = assign(count, all, weight);
        const given = [...assigned.values()].flat().sort((a, b) => a - b);
        expect(given).toEqual(Array.from({ length: count }, (_, i) => i));
        const sizes = [...assigned.values()].map(({ length }) => length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('does not depend on the order in which the names are known', () => {
    fc.assert(
      fc.property(partitions, names, (count, all) => {
        expect(assign(count, [...all].reverse(), weight)).toEqual(assign(count, all, weight));
      }),
    );
  });

  it('assigns nothing to nobody', () => {
    expect(assign(4, [], weight)).toEqual(new Map());
  });
});

describe('MemberWatch', () => {
  const member = (beat: number) => ({ name: 'p1', incarnation: 'a', beat, address: 'here:1' });

  it('finds dead who does not beat, however the beats came before', () => {
    const watch = new MemberWatch(5_000);
    expect(watch.observe([member(7)], 0)).toHaveLength(1);
    expect(watch.observe([member(7)], 4_999)).toHaveLength(1);
    expect(watch.observe([member(7)], 5_000)).toHaveLength(0);
    expect(watch.observe([member(8)], 60_000)).toHaveLength(1);
  });

  it('takes another incarnation for another one', () => {
    const watch = new MemberWatch(5_000);
    watch.observe([member(7)], 0);
    expect(watch.observe([{ ...member(7), incarnation: 'b' }], 9_000)).toHaveLength(1);
  });
});

describe('the register of instances', () => {
  it('gives back what was put in', () => {
    const members = [{ name: 'p1', incarnation: 'ab12', beat: 3, address: '127.0.0.1:7130' }];
    expect(decodeMembers(encodeMembers(members))).toEqual(members);
    expect(decodeMembers(null)).toEqual([]);
  });

  it('is refused when it holds something else', () => {
    expect(() => decodeMembers(Buffer.from([0x01]))).toThrow(expect.objectContaining({ code: 'DATA_LOSS' }));
  });
});
