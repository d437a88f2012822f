import { describe, expect, it } from 'vitest';
import { type Source, whyNotRebuild } from '../../../cli/rebuild-sources.js';
import type { NodeReport } from '../../../proto/calls.js';
import { description, report } from './fake-environment.js';

const RECOVERING = { status: 'recovering', waitsFor: 'registers: 2 of n1, n3 (step 2 of 3)' };

describe('whether a node can be rebuilt', () => {
  /** n1 is rebuilt. */
  const sources = (count: number, states: (Partial<NodeReport> | undefined)[], replicas = count): Source[] =>
    states.map((state, i) => {
      const nodeId = `n${i + 2}`;
      const ids = Array.from({ length: count }, (_, n) => `n${n + 1}`);
      const answered = state && { ...report(ids), nodeId, ring: description(ids, replicas), ...state };
      return { nodeId, address: `127.0.0.1:${7102 + i}`, report: answered };
    });

  const table: [name: string, others: Source[], problem: RegExp | undefined][] = [
    ['both others normal', sources(3, [{}, {}]), undefined],
    [
      'one does not answer',
      sources(3, [{}, undefined]),
      /2 of n2, n3.*: n3 does not answer at 127.0.0.1:7103$/,
    ],
    ['none answers', sources(3, [undefined, undefined]), /no other node answers: n2 does not.*; n3 does not/],
    ['one is recovering', sources(3, [RECOVERING, {}]), /^n2 is recovering and waits for registers/],
    ["one's store failed", sources(3, [{ storeState: 'failed' }, {}]), /: the store of n2 has failed$/],
    ['one leaves', sources(3, [{ status: 'shutdown' }, {}]), /: n2 is shutdown$/],
    ['three of four others normal, N = 5', sources(5, [{}, {}, {}, undefined]), undefined],
    ['two of four others normal, N = 5', sources(5, [{}, {}, undefined, undefined]), /^it takes 3 of n2, n3/],
    ['three normal, one more recovering, N = 5', sources(5, [{}, {}, {}, RECOVERING]), /n5 is recovering/],
    ['N = 2', sources(2, [{}]), undefined],
    ['N = 1 of three', sources(3, [{}, {}], 1), /no other replica than n1/],
    ['a node alone', [], /the only node/],
  ];
  it.each(table)('%s', (_name, others, problem) => {
    const found = whyNotRebuild('n1', others);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});
