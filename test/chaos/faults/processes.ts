import { mustSurvive } from '../survival.js';
import type { Fault, Scene } from './fault.js';

/** Faults of node processes and of client processes. */

/** Kills it, and starts it again some time later; now and then it is killed again while it starts. */
async function killAndStart(scene: Scene, nodeId: string): Promise<void> {
  const { nodes, random } = scene;
  await nodes.kill(nodeId);
  await scene.pass(50, 5_000);
  if (random.chance(0.3) && !scene.isOver()) {
    nodes.launch(nodeId);
    await scene.pass(100, 1_500);
    await nodes.kill(nodeId);
  }
  await scene.start(nodeId);
}

const kill: Fault = {
  name: 'kill',
  weight: 2,
  async strike(scene) {
    const nodeId = scene.claim();
    if (nodeId === undefined) return false;
    scene.say(`${nodeId} is killed`);
    await mustSurvive(scene, nodeId, () => killAndStart(scene, nodeId));
    scene.release(nodeId);
    return true;
  },
};

const blackout: Fault = {
  name: 'blackout',
  async strike(scene) {
    const claimed = scene.nodes.ids.filter((id) => scene.claim(id) !== undefined);
    if (claimed.length === 0) return false;
    scene.say(`${claimed.join(', ')} are killed at once`);
    await Promise.all(claimed.map((id) => scene.nodes.kill(id)));
    await scene.pass(50, 2_000);
    await Promise.all(claimed.map((id) => scene.start(id)));
    for (const id of claimed) scene.release(id);
    return true;
  },
};

const pause: Fault = {
  name: 'pause',
  weight: 2,
  async strike(scene) {
    const nodeId = scene.claim();
    if (nodeId === undefined) return false;
    scene.say(`${nodeId} is paused`);
    scene.nodes.pause(nodeId);
    // Short ones end within a request's deadline, long ones after it.
    await (scene.random.chance(0.5) ? scene.pass(100, 2_500) : scene.pass(3_000, 9_000));
    scene.nodes.resume(nodeId);
    scene.release(nodeId);
    return true;
  },
};

/** How often it is looked whether a restarted node is whole before the next one follows. */
const MAX_WAITS = 20;

const rollingRestart: Fault = {
  name: 'restart',
  async strike(scene) {
    scene.say('rolling restart');
    let restarted = 0;
    for (const id of scene.nodes.ids) {
      if (scene.isOver() || scene.claim(id) === undefined) continue;
      try {
        await scene.nodes.stop(id);
      } catch (error) {
        const detail = `${(error as Error).message}: ${scene.nodes.lastWords(id)}`;
        scene.violated({ check: 'nodes end when asked to', detail });
        await scene.nodes.kill(id);
      }
      await scene.start(id);
      restarted++;
      for (let i = 0; i < MAX_WAITS && !scene.isOver() && !(await scene.nodes.isWhole(id)); i++)
        await scene.pass(250, 250);
      scene.release(id);
    }
    return restarted > 0;
  },
};

const clientKill: Fault = {
  name: 'client',
  async strike(scene) {
    const name = await scene.clients.killOne();
    scene.say(`client process ${name} is killed`);
    return true;
  },
};

export const PROCESS_FAULTS: readonly Fault[] = [kill, pause, rollingRestart, blackout, clientKill];
