import type { Scene } from './faults/fault.js';
import { setAside } from './faults/stores.js';

const EVERY_MS = 1_000;
/** A damaged store that fails so often is set aside. */
const MAX_FAILURES = 3;

/**
 * What a person would do: starts a node again that ended by itself or whose store stopped. Where no fault
 * explains that, it is noted as a violation.
 */
export class Operator {
  readonly #scene: Scene;
  readonly #isDoubtful: (nodeId: string) => boolean;
  readonly #failures = new Map<string, number>();

  constructor(scene: Scene, { isDoubtful }: { isDoubtful(nodeId: string): boolean }) {
    this.#scene = scene;
    this.#isDoubtful = isDoubtful;
  }

  async run(): Promise<void> {
    while (!this.#scene.isOver()) {
      await this.#scene.pass(EVERY_MS, EVERY_MS);
      await this.look();
    }
  }

  /** Looks at every node once. */
  async look(): Promise<void> {
    const { nodes } = this.#scene;
    await Promise.all(nodes.ids.map((id) => this.#lookAt(id)));
  }

  async #lookAt(nodeId: string): Promise<void> {
    const scene = this.#scene;
    if ((await this.#troubleOf(nodeId)) === undefined) return;
    if (scene.claim(nodeId) === undefined) return; // a fault is busy with it
    try {
      // A fault may have come and gone meanwhile.
      const trouble = await this.#troubleOf(nodeId);
      if (trouble === undefined) return;
      const detail = `${nodeId} ${trouble}: ${scene.nodes.lastWords(nodeId)}`;
      if (this.#isDoubtful(nodeId)) scene.say(detail);
      else scene.violated({ check: 'nodes and stores do not stop by themselves', detail });
      await this.#restart(nodeId);
    } finally {
      scene.release(nodeId);
    }
  }

  async #troubleOf(nodeId: string): Promise<string | undefined> {
    const { nodes } = this.#scene;
    const report = await nodes.report(nodeId);
    if (!nodes.isAlive(nodeId)) return 'ended by itself';
    return report?.storeState === 'failed' ? 'says that its store failed' : undefined;
  }

  async #restart(nodeId: string): Promise<void> {
    const scene = this.#scene;
    await scene.nodes.kill(nodeId);
    const failures = (this.#failures.get(nodeId) ?? 0) + 1;
    this.#failures.set(nodeId, failures);
    if (failures % MAX_FAILURES === 0 && this.#isDoubtful(nodeId)) {
      scene.say(`${nodeId}: its store fails again and again, set aside`);
      setAside(scene, nodeId);
    }
    await scene.start(nodeId, { mayFail: this.#isDoubtful(nodeId) });
  }
}
