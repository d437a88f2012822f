import { Registers } from '../../../node/quorum/registers.js';
import { Exchange } from '../../../node/repair/exchange.js';
import { LeafSet } from '../../../node/repair/hash-tree.js';
import { Recovery } from '../../../node/repair/recovery.js';
import { Reentry } from '../../../node/repair/reentry.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import type { TestNode, World } from './world.js';

const LETTERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

/** So many nodes of one datacenter, each a replica of everything. */
export function replicas(count: number) {
  const nodes = Object.fromEntries(LETTERS.slice(0, count).map((id) => [id, 'dc1']));
  return { nodes, replication: { dc1: count } };
}

export const majority = (world: World): number => Math.floor(world.ring.nodes.length / 2) + 1;

/** A node as coordinator of registers. */
export function registersOf(world: World, nodeId: string): Registers {
  const { context, registers } = world.node(nodeId);
  return new Registers(context, registers, new SeededRandom(`${nodeId}/registers`));
}

export function recoveryOf(node: TestNode, doubts: readonly string[] = ['wiped']): Recovery {
  const { context, opened, registers } = node;
  return new Recovery({
    context,
    exchange: new Exchange(context, 1e9),
    reentry: new Reentry(context, registers.memory),
    openedAtBatch: opened.store.syncedBatch,
    doubts,
    declaredWhole: false,
    renewStore: (reasons) => opened.store.renew(reasons),
    declareWhole: () => opened.store.declareWhole(),
  });
}

/** Starts the recovery of a node that lost its store; it is whole once that is through. */
export function recovering(node: TestNode): { recovery: Recovery; done: Promise<void> } {
  const recovery = recoveryOf(node);
  const done = recovery.run().then((whole) => {
    node.whole = whole;
  });
  return { recovery, done };
}

/** Makes two nodes equal, as anti-entropy does. */
export const exchange = (world: World, from: string, to: string) =>
  new Exchange(world.node(from).context, 1e9).run(to, LeafSet.all());
