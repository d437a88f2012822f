import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerDigests, answerRequests, applyDeltas, digestsOf } from '../../../node/gossip/exchange.js';
import {
  applyDelta,
  beat,
  type Delta,
  declareFacts,
  deltaSince,
  type EndpointState,
  factOf,
  type GossipState,
  maxVersion,
  mergeEndpoint,
} from '../../../node/gossip/state.js';
import { defaultFacts } from './harness.js';

const ROOM = { expected: new Set<string>(), maxEndpoints: 1_000 };

const blank = (nodeId: string, generation: number): EndpointState => ({
  nodeId,
  generation,
  heartbeat: 0,
  facts: new Map(),
});

type Step = 'beat' | { load: number } | { rack: string } | { status: 'normal' | 'leaving' | 'left' };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>('beat'),
  fc.record({ load: fc.nat(3) }),
  fc.record({ rack: fc.constantFrom('r1', 'r2') }),
  fc.record({ status: fc.constantFrom('normal' as const, 'leaving' as const, 'left' as const) }),
);

/** All states that one node went through, over a few generations: what others may hold of it. */
const history = (nodeId: string, steps: fc.Arbitrary<Step> = step): fc.Arbitrary<EndpointState[]> =>
  fc.array(fc.array(steps, { maxLength: 8 }), { minLength: 1, maxLength: 3 }).map((generations) =>
    generations.flatMap((taken, i) => {
      let own = declareFacts(blank(nodeId, i + 1), { status: 'normal', rack: 'r0' });
      return [own, ...taken.map((next) => (own = next === 'beat' ? beat(own) : declareFacts(own, next)))];
    }),
  );

const plain = (endpoint: EndpointState | undefined) =>
  endpoint && { ...endpoint, facts: Object.fromEntries(endpoint.facts) };

/** Any state at all, of no node's making: merging must not depend on good manners. */
const wild: fc.Arbitrary<EndpointState> = fc
  .record({
    generation: fc.nat(2),
    heartbeat: fc.nat(5),
    facts: fc.uniqueArray(
      fc.tuple(
        fc.constantFrom('status', 'load'),
        fc.record({ value: fc.constantFrom('left', 'normal', 'x', 1), version: fc.nat(3) }),
      ),
      { selector: ([name]) => name, maxLength: 2 },
    ),
  })
  .map(({ facts, ...rest }) => ({ nodeId: 'n1', ...rest, facts: new Map(facts) }));

describe('mergeEndpoint', () => {
  it('is commutative, associative and idempotent within a generation', () => {
    fc.assert(
      fc.property(wild, wild, wild, (...states) => {
        const [a, b, c] = states.map((state) => ({ ...state, generation: 1 })) as [
          EndpointState,
          EndpointState,
          EndpointState,
        ];
        expect(plain(mergeEndpoint(a, b))).toEqual(plain(mergeEndpoint(b, a)));
        expect(plain(mergeEndpoint(mergeEndpoint(a, b), c))).toEqual(
          plain(mergeEndpoint(a, mergeEndpoint(b, c))),
        );
        expect(mergeEndpoint(a, a)).toBe(a);
        const both = mergeEndpoint(a, b);
        expect(mergeEndpoint(both, b)).toBe(both);
      }),
    );
  });

  it('keeps a node that left as left, whatever later versions say', () => {
    const left = declareFacts(blank('n1', 1), { status: 'left' });
    const later = declareFacts(beat(blank('n1', 1)), { status: 'normal' });
    for (const merged of [mergeEndpoint(left, later), mergeEndpoint(later, left)]) {
      expect(factOf(merged, 'status')).toBe('left');
      expect(merged.heartbeat).toBe(1);
    }
  });

  it('takes the newer generation whole, in either order', () => {
    fc.assert(
      fc.property(wild, wild, (a, b) => {
        fc.pre(a.generation !== b.generation);
        const newer = a.generation > b.generation ? a : b;
        expect(mergeEndpoint(a, b)).toBe(newer);
        expect(mergeEndpoint(b, a)).toBe(newer);
      }),
    );
  });

  it('of any two states that a node went through, gives the later', () => {
    const living = step.filter(
      (next) => typeof next === 'string' || !('status' in next) || next.status !== 'left',
    );
    fc.assert(
      fc.property(history('n1', living), fc.nat(), fc.nat(), (states, x, y) => {
        const [i, j] = [x % states.length, y % states.length];
        const later = states[Math.max(i, j)]!;
        expect(plain(mergeEndpoint(states[i]!, states[j]!))).toEqual(plain(later));
      }),
    );
  });
});

describe('declareFacts and beat', () => {
  it('number every change, and only changes', () => {
    const own = declareFacts(blank('n1', 1), defaultFacts('n1'));
    expect(maxVersion(own)).toBe(13);
    expect(declareFacts(own, { rack: 'r1' })).toBe(own);
    expect(declareFacts(own, { rack: 'r9' }).facts.get('rack')).toEqual({ value: 'r9', version: 14 });
    expect(beat(own).heartbeat).toBe(14);
  });

  it('keep a node that left as left', () => {
    const left = declareFacts(blank('n1', 1), { status: 'left' });
    expect(declareFacts(left, { status: 'normal' })).toBe(left);
  });
});

describe('applyDelta', () => {
  const old = declareFacts(blank('n1', 1), { status: 'left', ringEpoch: 4 });
  const next = (facts: object) => deltaSince(declareFacts(blank('n1', 2), facts), 0);

  it('drops a delta that leaves a gap, so that no fact stays hidden', () => {
    const own = beat(declareFacts(beat(declareFacts(blank('n1', 1), { rack: 'r1' })), { load: 5 }));
    expect(applyDelta(undefined, deltaSince(own, 2))).toBeUndefined();
    const behind = declareFacts(blank('n1', 1), { rack: 'r1' });
    expect(applyDelta(behind, deltaSince(own, 2))).toBe(behind);
    expect(plain(applyDelta(behind, deltaSince(own, 1)))).toEqual(plain(own));
  });

  it('takes a node that left back by a join or in a later ring only', () => {
    expect(applyDelta(old, next({ status: 'normal', ringEpoch: 4 }))).toBe(old);
    expect(applyDelta(old, next({ status: 'shutdown' }))).toBe(old);
    expect(applyDelta(old, next({ status: 'joining', ringEpoch: 4 }))?.generation).toBe(2);
    expect(applyDelta(old, next({ status: 'normal', ringEpoch: 5 }))?.generation).toBe(2);
  });
});

describe('applyDeltas', () => {
  it('tells restarts and beats, leaves the given state alone, and repeats nothing', () => {
    const first = deltaSince(declareFacts(blank('n1', 1), { rack: 'r1' }), 0);
    const empty: GossipState = new Map();
    const one = applyDeltas(empty, [first], ROOM);
    expect(empty.size).toBe(0);
    expect(one.changes).toEqual([{ nodeId: 'n1', restarted: true, beat: true }]);
    expect(applyDeltas(one.state, [first], ROOM)).toEqual({ state: one.state, changes: [] });
    const renamed = deltaSince(declareFacts(first, { rack: 'r2' }), 0);
    expect(applyDeltas(one.state, [renamed], ROOM).changes).toEqual([
      { nodeId: 'n1', restarted: false, beat: false },
    ]);
    expect(applyDeltas(one.state, [{ ...first, heartbeat: 9 }], ROOM).changes).toEqual([
      { nodeId: 'n1', restarted: false, beat: true },
    ]);
    expect(applyDeltas(one.state, [{ ...first, generation: 2 }], ROOM).changes).toEqual([
      { nodeId: 'n1', restarted: true, beat: true },
    ]);
  });

  it('has room for those expected, and for a bounded number of strangers', () => {
    const deltas = Array.from({ length: 50 }, (_, i) => deltaSince(blank(`x${i}`, 1), 0));
    const room = { expected: new Set(['x49']), maxEndpoints: 10 };
    const { state } = applyDeltas(new Map(), deltas, room);
    expect(state.size).toBe(11);
    expect(state.has('x49')).toBe(true);
  });
});

describe('exchange', () => {
  const nodes = ['n1', 'n2', 'n3'];
  const knowledge = fc.tuple(
    ...nodes.map((nodeId) => history(nodeId)),
    fc.array(fc.array(fc.nat(), { minLength: 3, maxLength: 3 }), { minLength: 4, maxLength: 4 }),
  );

  /** SYN, ACK and ACK2, of which the network may lose the last. */
  function exchange(a: GossipState, b: GossipState, isLossy: boolean): [GossipState, GossipState] {
    const ack = answerDigests(b, digestsOf(a));
    const nextA = applyDeltas(a, ack.deltas, ROOM).state;
    const ack2: Delta[] = answerRequests(nextA, ack.requests);
    return [nextA, isLossy ? b : applyDeltas(b, ack2, ROOM).state];
  }

  it('makes two nodes equal, and then has nothing more to say', () => {
    fc.assert(
      fc.property(knowledge, (given) => {
        const [first, second] = holdings(given);
        const [a, b] = exchange(first!, second!, false);
        expect(answerDigests(b, digestsOf(a))).toEqual({ requests: [], deltas: [] });
        for (const nodeId of new Set([...a.keys(), ...b.keys()])) {
          expect(plain(a.get(nodeId))).toEqual(plain(b.get(nodeId)));
        }
      }),
    );
  });

  it('converges to the newest of all, whoever meets whom and whatever is lost', () => {
    const meeting = fc.tuple(fc.nat(3), fc.nat(3), fc.boolean());
    fc.assert(
      fc.property(knowledge, fc.array(meeting, { maxLength: 12 }), (given, meetings) => {
        const states = holdings(given);
        const meet = (i: number, j: number, isLossy: boolean) => {
          if (i !== j) [states[i], states[j]] = exchange(states[i]!, states[j]!, isLossy);
        };
        const newest = new Map<string, EndpointState>();
        for (const state of states) {
          for (const [nodeId, endpoint] of state) {
            newest.set(nodeId, mergeEndpoint(newest.get(nodeId) ?? endpoint, endpoint));
          }
        }
        for (const [i, j, isLossy] of meetings) meet(i, j, isLossy);
        for (let round = 0; round < 2; round++) for (const j of [1, 2, 3]) meet(0, j, false);
        for (const state of states) {
          for (const [nodeId, endpoint] of newest) {
            expect(plain(state.get(nodeId))).toEqual(plain(endpoint));
          }
        }
      }),
    );
  });

  /** Four nodes, each holding some past state of each of the three, or nothing of it. */
  function holdings(given: unknown[]): GossipState[] {
    const histories = given.slice(0, nodes.length) as EndpointState[][];
    const picks = given[nodes.length] as number[][];
    // A left node's later generations are another test's: here nobody restarts after leaving.
    const usable = histories.map((states) => {
      const end = states.findIndex((state) => factOf(state, 'status') === 'left');
      const generation = end < 0 ? Infinity : states[end]!.generation;
      return states.filter((state) => state.generation <= generation);
    });
    return picks.map((pick) => {
      const held = usable.flatMap((states, k) => {
        const state = states[pick[k]! % (states.length + 1)];
        return state === undefined ? [] : [[state.nodeId, state] as const];
      });
      return new Map(held);
    });
  }
});
