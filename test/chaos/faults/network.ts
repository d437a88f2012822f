import { shuffled } from '../../../ports/random.js';
import { CUT_MANNERS } from '../links.js';
import type { Fault, Scene } from './fault.js';

/** Faults of the connections between nodes. */

function twoNodes({ nodes, random }: Scene): [string, string] {
  const [a, b] = shuffled(random, nodes.ids);
  return [a!, b!];
}

async function whileIt(scene: Scene, undo: (() => Promise<void>)[]): Promise<boolean> {
  await (scene.random.chance(0.8) ? scene.pass(300, 5_000) : scene.pass(6_000, 20_000));
  await Promise.all(undo.map((end) => end()));
  return true;
}

const cut: Fault = {
  name: 'cut',
  async strike(scene) {
    const [a, b] = twoNodes(scene);
    const manner = scene.random.pick(CUT_MANNERS);
    scene.say(`${a} and ${b} are cut off from each other (${manner})`);
    return whileIt(scene, [scene.links!.cut(a, b, manner)]);
  },
};

const isolate: Fault = {
  name: 'isolate',
  async strike(scene) {
    const [alone] = twoNodes(scene);
    const manner = scene.random.pick(CUT_MANNERS);
    scene.say(`${alone} is cut off from all others (${manner})`);
    const others = scene.nodes.ids.filter((id) => id !== alone);
    return whileIt(
      scene,
      others.map((other) => scene.links!.cut(alone, other, manner)),
    );
  },
};

const oneWay: Fault = {
  name: 'one-way',
  async strike(scene) {
    const [from, to] = twoNodes(scene);
    const manner = scene.random.pick(['hold', 'swallow'] as const);
    scene.say(`what ${from} sends does not reach ${to} (${manner})`);
    return whileIt(scene, [scene.links!.cutOneWay(from, to, manner)]);
  },
};

const latency: Fault = {
  name: 'latency',
  async strike(scene) {
    const [a, b] = twoNodes(scene);
    const delayMs = scene.random.pick([5, 50, 300, 1_500]);
    scene.say(`${a} and ${b}: ${delayMs} ms of latency`);
    return whileIt(scene, [scene.links!.slow(a, b, delayMs)]);
  },
};

export const NETWORK_FAULTS: readonly Fault[] = [cut, isolate, oneWay, latency];
