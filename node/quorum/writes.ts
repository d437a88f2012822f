import { encodeBatch } from '../../proto/batch.js';
import type { FlushReply } from '../../proto/calls.js';
import type { Entry } from '../../proto/entry.js';
import { asTallyringError, errorToData, TallyringError } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { Ring } from '../ring/ring.js';
import { canMeet, countedOf, type Requirement, requiredOf, requirementOf } from './consistency.js';
import type { NodeContext } from './context.js';
import { type Group, groupEntries } from './placement.js';
import { Tally, type TallyReplica } from './tally.js';

/** Takes what a replica did not confirm: the hint store. */
export type KeepHints = (nodeId: string, entries: readonly Entry[]) => void;

interface PendingGroup extends Group {
  tally: Tally;
}

/** A write as it stands: per group a tally, per replica one message. */
interface Plan {
  ring: Ring;
  entries: readonly Entry[];
  groups: PendingGroup[];
  /** Groups by replica that is asked, and by replica that is down. */
  asked: Map<string, PendingGroup[]>;
  down: Map<string, PendingGroup[]>;
  failures: FlushReply['failures'];
}

export interface WriteOptions {
  level: ConsistencyLevel;
  timeoutMs: number;
  ring: Ring;
}

/**
 * Writes entries to their replicas and resolves once each key met its level or cannot any more. Fails at once
 * where too few replicas are live: nothing of that key is sent. Replicas that are down or did not answer in
 * time get hints. Only real replicas count.
 */
export class Writes {
  readonly #context: NodeContext;
  readonly #keepHints: KeepHints;

  constructor(context: NodeContext, keepHints: KeepHints) {
    this.#context = context;
    this.#keepHints = keepHints;
  }

  write(entries: readonly Entry[], options: WriteOptions): Promise<FlushReply> {
    const { clock, timers } = this.#context;
    const requirement = requirementOf(options.level, options.ring.replication, this.#context.datacenter);
    const deadlineMs = clock.monotonicMs() + options.timeoutMs;
    const plan = this.#plan(entries, requirement, { ring: options.ring, deadlineMs });
    for (const [nodeId, groups] of plan.down) this.#keepHints(nodeId, entriesOf(plan, groups));
    const payloads = new Map<string, Buffer>();
    return new Promise((resolve) => {
      let done = false;
      const finish = () => {
        if (done) return;
        done = true;
        timer.cancel();
        for (const group of plan.groups) {
          if (group.tally.verdict === 'met') continue;
          plan.failures.push({
            indexes: group.indexes,
            error: notMet(group.tally, requirement, options.level),
          });
        }
        resolve({ failures: plan.failures });
      };
      const check = () => {
        if (plan.groups.every((group) => group.tally.verdict !== 'pending')) finish();
      };
      const timer = timers.after(options.timeoutMs, finish);
      for (const [nodeId, groups] of plan.asked) {
        void this.#send(nodeId, plan, { groups, payloads, timeoutMs: options.timeoutMs }).then((good) => {
          const nowMs = clock.monotonicMs();
          for (const { tally } of groups) tally.answer(nodeId, good, nowMs);
          if (!good) this.#keepHints(nodeId, entriesOf(plan, groups));
          check();
        });
      }
      check();
    });
  }

  #plan(entries: readonly Entry[], requirement: Requirement, at: { ring: Ring; deadlineMs: number }): Plan {
    const { membership } = this.#context;
    const plan: Plan = {
      ring: at.ring,
      entries,
      groups: [],
      asked: new Map(),
      down: new Map(),
      failures: [],
    };
    for (const group of groupEntries(at.ring, entries)) {
      const { replicas } = group;
      const live = replicas.filter(({ nodeId }) => membership.isLive(nodeId));
      if (
        !canMeet(
          requirement,
          live.map((replica) => replica.datacenter),
        )
      ) {
        plan.failures.push({ indexes: group.indexes, error: errorToData(unavailable(requirement, live)) });
        continue;
      }
      const pending = { ...group, tally: new Tally(requirement, live, at.deadlineMs) };
      plan.groups.push(pending);
      for (const replica of replicas)
        addTo(live.includes(replica) ? plan.asked : plan.down, replica, pending);
    }
    return plan;
  }

  /** One message with all that this replica gets; true once it is durable there. */
  async #send(
    nodeId: string,
    plan: Plan,
    message: { groups: PendingGroup[]; payloads: Map<string, Buffer>; timeoutMs: number },
  ): Promise<boolean> {
    const { replica, peers, logger } = this.#context;
    const { groups, payloads, timeoutMs } = message;
    try {
      if (nodeId === this.#context.nodeId) {
        await replica.merge(entriesOf(plan, groups));
        return true;
      }
      const name = groups.map((group) => group.id).join();
      const batch = payloads.get(name) ?? encodeBatch(entriesOf(plan, groups));
      payloads.set(name, batch); // replicas that get the same entries share one encoding
      const ack = await peers.request(nodeId, 'merge', { epoch: plan.ring.epoch, batch }, timeoutMs);
      this.#context.heard(nodeId, ack.storeId, ack.batch);
      return true;
    } catch (error) {
      const { code, message: text } = asTallyringError(error);
      logger.debug({ nodeId, code }, `replica did not confirm a write: ${text}`);
      return false;
    }
  }
}

function addTo(map: Map<string, PendingGroup[]>, { nodeId }: TallyReplica, group: PendingGroup): void {
  const groups = map.get(nodeId);
  if (groups === undefined) map.set(nodeId, [group]);
  else groups.push(group);
}

function entriesOf(plan: Plan, groups: readonly Group[]): readonly Entry[] {
  if (groups.length === 1 && groups[0]!.indexes.length === plan.entries.length) return plan.entries;
  return groups.flatMap((group) => group.indexes.map((i) => plan.entries[i]!));
}

/** Too few of a key's replicas are live for the requirement. */
export function unavailable(requirement: Requirement, replicas: readonly TallyReplica[]): TallyringError {
  const datacenters = replicas.map(({ datacenter }) => datacenter);
  const live = countedOf(requirement, datacenters);
  const facts = { required: requiredOf(requirement), received: 0, live };
  return new TallyringError(
    'UNAVAILABLE',
    `${facts.live} live replicas, ${facts.required} required; nothing was sent. Retry when nodes are back, or ask for a lower level`,
    { ...facts, mayHaveApplied: false },
  );
}

function notMet(tally: Tally, requirement: Requirement, level: ConsistencyLevel) {
  const facts = { required: requiredOf(requirement), received: tally.received, mayHaveApplied: true };
  const text = `${level} was not reached: ${facts.received} of ${facts.required} replicas confirmed; it may be applied`;
  return errorToData(new TallyringError('WRITE_TIMEOUT', text, facts));
}
