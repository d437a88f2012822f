import { describe, expect, it } from 'vitest';
import { configurationOf } from './configuration.js';
import { FAULT_KINDS, type Link, nameOfFault, PARTITION_SHAPES, type PartitionShape } from './faults.js';
import { drawLinks } from './partitions.js';
import { scheduleOf } from './schedule.js';
import { SeededRandom } from './seeded-random.js';

const nodes = (count: number) => Array.from({ length: count }, (_, i) => `node-${i + 1}`);

/** Whom a node hears, itself included. */
function heardBy(node: string, among: readonly string[], cut: readonly Link[]): string[] {
  return among.filter((other) => !cut.some(([from, to]) => from === other && to === node));
}

function draw(shape: PartitionShape, count: number): Link[] {
  return drawLinks(shape, { nodes: nodes(count), clients: [] }, new SeededRandom(count));
}

describe('schedules', () => {
  it('are a function of the configuration, and plain data', () => {
    const drawn = scheduleOf(configurationOf(3));
    expect(drawn.length).toBeGreaterThan(0);
    expect(scheduleOf(configurationOf(3))).toEqual(drawn);
    expect(JSON.parse(JSON.stringify(drawn))).toEqual(drawn);
  });

  it('have faults of every kind, partitions of every shape, and triggers on every quorum request', () => {
    const faults = Array.from({ length: 200 }, (_, seed) => scheduleOf(configurationOf(seed))).flat();
    const names = new Set(faults.map(nameOfFault));
    for (const kind of FAULT_KINDS) expect(faults.some((fault) => fault.kind === kind)).toBe(true);
    for (const shape of PARTITION_SHAPES) expect(names).toContain(`partition: ${shape}`);
    const triggers = new Set(faults.flatMap(({ trigger }) => trigger?.reply ?? []));
    expect([...triggers]).toEqual(expect.arrayContaining(['peer.merge', 'peer.read']));
  });
});

describe('partitions', () => {
  it.each([3, 4, 5, 6, 7])('a majority ring of %i: each hears a majority, no two the same one', (count) => {
    const cut = draw('majority ring', count);
    const heard = nodes(count).map((node) => heardBy(node, nodes(count), cut));
    for (const each of heard) {
      expect(each.length).toBeGreaterThan(count / 2);
      expect(each.length).toBeLessThan(count);
    }
    expect(new Set(heard.map(String)).size).toBe(count);
  });

  it.each([3, 4, 5, 6])('a bridge of %i: one hears all, the others only their side and it', (count) => {
    const cut = draw('bridge', count);
    const heard = nodes(count).map((node) => heardBy(node, nodes(count), cut).length);
    expect(heard.filter((each) => each === count)).toHaveLength(1);
  });

  it('one-way: what is not heard hears', () => {
    const cut = draw('one-way', 5);
    expect(cut.length).toBeGreaterThan(0);
    for (const [from, to] of cut) expect(cut).not.toContainEqual([to, from]);
  });
});
