import type { Peers } from '../../node/peers.js';
import type { TimerHandle } from '../../ports/clock.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import { decodeReply, decodeRequest, encodeBody, type PeerKind } from '../../proto/peer-message.js';
import type { SeededRandom } from '../../test/simulation/seeded-random.js';
import type { VirtualTime } from '../../test/simulation/virtual-time.js';
import type { Member } from './cluster.js';

const MIN_DELAY_MS = 0.5;
const MAX_DELAY_MS = 5;

export interface NetworkParts {
  time: VirtualTime;
  random: SeededRandom;
  members: readonly Member[];
  lossRate: number;
  /** A timer of a process: it waits while that is paused. */
  afterFor(member: Member, delayMs: number, callback: () => void): TimerHandle;
}

/** Carries encoded requests and answers between members, loses some, and counts their bytes. */
export class ScaleNetwork {
  /** By member: bytes given to the network, and bytes that arrived. */
  readonly sentBytes: Float64Array;
  readonly receivedBytes: Float64Array;
  messages = 0;
  /** The most peers that one node asked in one round. */
  mostPeersARound = 0;
  readonly #parts: NetworkParts;
  readonly #byId: Map<string, Member>;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
    this.#byId = new Map(parts.members.map((member) => [member.nodeId, member]));
    this.sentBytes = new Float64Array(parts.members.length);
    this.receivedBytes = new Float64Array(parts.members.length);
  }

  clearCounts(): void {
    this.sentBytes.fill(0);
    this.receivedBytes.fill(0);
    this.messages = 0;
  }

  peersOf(from: Member): Peers {
    const refusedBy = new Set<string>();
    return {
      request: (to, kind, body, timeoutMs) => {
        if (kind === 'gossipSyn') this.#noteAsked(from, to);
        return new Promise((resolve, reject) => {
          const timeout = this.#parts.afterFor(from, timeoutMs, () =>
            reject(new TallyringError('WRITE_TIMEOUT', `no answer from ${to}`)),
          );
          const target = this.#byId.get(to)!;
          const settle = (outcome: Buffer | TallyringError) => {
            timeout.cancel();
            if (outcome instanceof TallyringError) reject(outcome);
            else resolve(decodeReply(kind, outcome));
          };
          this.#carry({ from, to: target, payload: encodeBody(body) }, (payload) => {
            if (target.state === 'absent') {
              refusedBy.add(to);
              return settle(new TallyringError('UNAVAILABLE', `${to} refused the connection`));
            }
            refusedBy.delete(to);
            const answer = answerOf(target, { from: from.nodeId, kind, payload });
            if (answer instanceof TallyringError) return settle(answer);
            this.#carry({ from: target, to: from, payload: answer }, settle);
          });
        });
      },
      isConnected: (to) => !refusedBy.has(to),
      close: async () => {},
    };
  }

  #noteAsked(from: Member, to: string): void {
    from.asked.add(to);
    this.mostPeersARound = Math.max(this.mostPeersARound, from.asked.size);
  }

  #carry(
    { from, to, payload }: { from: Member; to: Member; payload: Buffer },
    arrive: (payload: Buffer) => void,
  ): void {
    const { time, random, lossRate, afterFor } = this.#parts;
    // A refusal costs no message: nothing of ours leaves before there is a connection.
    if (to.state !== 'absent') {
      this.messages++;
      this.sentBytes[from.index]! += payload.length;
    }
    if (random.chance(lossRate)) return;
    time.after(random.between(MIN_DELAY_MS, MAX_DELAY_MS), () => {
      if (to.state === 'silent') return;
      // What arrives at a paused process waits for it.
      afterFor(to, 0, () => {
        if (to.state !== 'absent') this.receivedBytes[to.index]! += payload.length;
        arrive(payload);
      });
    });
  }
}

function answerOf(
  target: Member,
  { from, kind, payload }: { from: string; kind: PeerKind; payload: Buffer },
): Buffer | TallyringError {
  try {
    const request = decodeRequest(kind, payload);
    if (request.kind === 'gossipSyn') {
      return encodeBody({ ack: target.gossiper!.handleSyn(from, request.body.syn) });
    }
    if (request.kind === 'gossipAck2') target.gossiper!.handleAck2(from, request.body.ack2);
    return encodeBody({});
  } catch (error) {
    return asTallyringError(error);
  }
}
