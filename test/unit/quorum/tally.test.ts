import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canMeet, impliesQuorum, requiredOf, requirementOf } from '../../../node/quorum/consistency.js';
import { Tally, type TallyReplica, type Verdict } from '../../../node/quorum/tally.js';
import { LEVELS } from '../../../proto/level.js';

const DEADLINE_MS = 100;

interface Answer {
  nodeId: string;
  good: boolean;
  atMs: number;
}

/** The dumb twin: looks at the whole history of answers each time. */
function twin(
  requirement: ReturnType<typeof requirementOf>,
  asked: readonly TallyReplica[],
  answers: readonly Answer[],
): Verdict {
  const first = new Map<string, boolean>();
  for (const { nodeId, good, atMs } of answers) {
    if (!asked.some((replica) => replica.nodeId === nodeId)) continue;
    if (good && atMs > DEADLINE_MS) continue; // as if it never came
    if (!first.has(nodeId)) first.set(nodeId, good);
  }
  const verdicts = requirement.map(({ datacenter, required }): Verdict => {
    const own = asked.filter((replica) => datacenter === undefined || replica.datacenter === datacenter);
    const good = own.filter(({ nodeId }) => first.get(nodeId) === true).length;
    const open = own.filter(({ nodeId }) => !first.has(nodeId)).length;
    if (good >= required) return 'met';
    return good + open < required ? 'lost' : 'pending';
  });
  if (verdicts.includes('lost')) return 'lost';
  return verdicts.includes('pending') ? 'pending' : 'met';
}

const replicas: TallyReplica[] = ['a', 'b', 'c', 'd', 'e'].map((nodeId, i) => ({
  nodeId,
  datacenter: i < 3 ? 'east' : 'west',
}));
const replication = { east: 3, west: 2 };

describe('tally', () => {
  it('agrees with a twin that looks at the whole history, for every level', () => {
    const answer = fc.record({
      nodeId: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'stranger'),
      good: fc.boolean(),
      atMs: fc.integer({ min: 0, max: 150 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...LEVELS),
        fc.subarray(replicas),
        fc.array(answer),
        (level, asked, answers) => {
          const requirement = requirementOf(level, replication, 'east');
          const tally = new Tally(requirement, asked, DEADLINE_MS);
          const soFar: Answer[] = [];
          for (const one of answers) {
            soFar.push(one);
            expect(tally.answer(one.nodeId, one.good, one.atMs)).toBe(twin(requirement, asked, soFar));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('counts no answer after the deadline, even when the process looks at it late', () => {
    const tally = new Tally(requirementOf('TWO', { east: 2 }, 'east'), replicas.slice(0, 2), DEADLINE_MS);
    expect(tally.answer('a', true, DEADLINE_MS)).toBe('pending');
    expect(tally.answer('b', true, DEADLINE_MS + 1)).toBe('pending');
    expect(tally.received).toBe(1);
  });

  it('counts a replica that was asked later, once', () => {
    const tally = new Tally(requirementOf('QUORUM', { east: 3 }, 'east'), replicas.slice(0, 2), DEADLINE_MS);
    tally.ask(replicas[2]!);
    tally.ask(replicas[2]!);
    expect(tally.answer('a', false, 1)).toBe('pending');
    expect(tally.answer('b', true, 1)).toBe('pending');
    expect(tally.answer('c', true, 1)).toBe('met');
  });
});

describe('consistency levels', () => {
  const required = (level: (typeof LEVELS)[number], by: Record<string, number>) =>
    requiredOf(requirementOf(level, by, 'east'));

  it.each([
    ['ONE', 1],
    ['TWO', 2],
    ['THREE', 3],
    ['QUORUM', 3],
    ['ALL', 5],
    ['LOCAL_ONE', 1],
    ['LOCAL_QUORUM', 2],
    ['EACH_QUORUM', 4],
  ] as const)('%s requires %i of three and two replicas', (level, answers) => {
    expect(required(level, replication)).toBe(answers);
  });

  it('refuses a level above the number of replicas, with words', () => {
    expect(() => requirementOf('THREE', { east: 2 }, 'east')).toThrow(
      /THREE cannot be met: there are 2 replicas/,
    );
    expect(() => requirementOf('LOCAL_ONE', { west: 2 }, 'east')).toThrow(/no replica in datacenter east/);
  });

  it('canMeet counts the replicas of each clause', () => {
    const each = requirementOf('EACH_QUORUM', replication, 'east');
    expect(canMeet(each, ['east', 'east', 'west', 'west'])).toBe(true);
    expect(canMeet(each, ['east', 'east', 'east', 'west'])).toBe(false);
  });

  it('impliesQuorum: any such answer set meets any quorum, by brute force', () => {
    for (const [east, west] of [
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
      [5, 0],
      [3, 3],
      [3, 2],
      [2, 2],
      [1, 1],
    ] as const) {
      const by: Record<string, number> = west === 0 ? { east } : { east, west };
      const all = [...Array(east).fill('east'), ...Array(west).fill('west')] as string[];
      const sets = Array.from({ length: 2 ** all.length }, (_, bits) => bits);
      const quorum = requirementOf('QUORUM', by, 'east');
      const meets = (bits: number, requirement: typeof quorum) =>
        canMeet(
          requirement,
          all.filter((_, i) => bits & (1 << i)),
        );
      for (const level of LEVELS) {
        if ((FIXED[level] ?? 1) > all.length) continue;
        const requirement = requirementOf(level, by, 'east');
        const always = sets
          .filter((set) => meets(set, requirement))
          .every((set) => sets.filter((other) => meets(other, quorum)).every((other) => (set & other) !== 0));
        if (impliesQuorum(level, by)) expect([level, by, always]).toEqual([level, by, true]);
      }
      expect(impliesQuorum('QUORUM', by)).toBe(true);
    }
  });
});

const FIXED: Record<string, number> = { TWO: 2, THREE: 3 };
