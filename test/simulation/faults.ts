/**
 * What may befall a run, as plain data: a schedule is a list of these, drawn from the seed (schedule.ts),
 * cut down by the shrinker, kept with seeds that failed, and carried out by nemesis.ts. What the network does
 * to single messages is in NetworkFaults.
 */

export const FAULT_KINDS = [
  'partition',
  'slow peer',
  'kill',
  'kill at start',
  'rolling restart',
  'pause',
  'clock jump',
  'client clock jump',
  'client crash',
  'overload',
  'slow disk',
  'failed write',
  'wipe',
  'old snapshot',
  'lost batch',
  'flipped bit',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Faults that take from a store what it had acknowledged: one node at a time. */
export const STORE_FAULTS: ReadonlySet<FaultKind> = new Set([
  'wipe',
  'old snapshot',
  'lost batch',
  'flipped bit',
]);

/**
 * isolate one: a node and all others. halves: two sides, clients among them. majority ring: each node sees a
 * majority, no two the same one. bridge: two sides that one node joins. one-way: one side is not heard by the
 * other. single links: some directions of some links.
 */
export const PARTITION_SHAPES = [
  'isolate one',
  'halves',
  'majority ring',
  'bridge',
  'one-way',
  'single links',
] as const;
export type PartitionShape = (typeof PARTITION_SHAPES)[number];

/** A direction of a link, as names of machines: nothing gets from the first to the second. */
export type Link = readonly [from: string, to: string];

/** Strikes as the nth reply to such a peer request, counted from the start of the safety phase, was delivered. */
export interface Trigger {
  /** How the method begins: `peer.merge`, `peer.read`, `peer.register`. */
  reply: string;
  nth: number;
}

/** Of a fault with a trigger: who got that reply, or who sent it. */
export const COORDINATOR = 'the coordinator';
export const REPLICA = 'the replica';

export interface Fault {
  kind: FaultKind;
  /** After the start of the safety phase; of no meaning with a trigger. */
  atMs: number;
  trigger?: Trigger;
  /** Node, or client machine, that it strikes; COORDINATOR or REPLICA with a trigger. */
  node?: string;
  /** Until it is over, the killed node starts again, or the copy of a store is put back. */
  durationMs?: number;
  shape?: PartitionShape;
  /** What a partition cuts; with a trigger it isolates `node` instead. */
  links?: Link[];
  /** slow disk: how many times slower. */
  factor?: number;
  /** clock jumps: by so much. */
  jumpMs?: number;
  /** slow peer: so much later, each way. kill at start: so long after it. */
  delayMs?: number;
  /** overload: how many increments, or reads, come at once. */
  burst?: { of: 'increments' | 'reads'; calls: number; perCall: number };
}

/** By this name it is counted in tables. */
export function nameOfFault({ kind, shape, burst }: Fault): string {
  if (shape !== undefined) return `partition: ${shape}`;
  return burst === undefined ? kind : `overload: ${burst.of}`;
}

export function describeFault(fault: Fault): string {
  const { trigger, node, durationMs, links, factor, jumpMs, delayMs } = fault;
  const words = [nameOfFault(fault)];
  if (node !== undefined) words.push(`of ${node}`);
  if (links !== undefined) words.push(`(${links.map(([from, to]) => `${from}>${to}`).join(' ')})`);
  if (factor !== undefined) words.push(`${factor} times`);
  if (jumpMs !== undefined) words.push(`by ${jumpMs} ms`);
  if (delayMs !== undefined) words.push(`${Math.round(delayMs)} ms`);
  if (durationMs !== undefined) words.push(`for ${Math.round(durationMs)} ms`);
  const when = trigger
    ? `at reply ${trigger.nth} to ${trigger.reply}`
    : `at ${(fault.atMs / 1000).toFixed(3)} s`;
  return `${when}: ${words.join(' ')}`;
}
