import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import { mustSurvive } from '../survival.js';
import type { Fault, Scene } from './fault.js';

/** Faults that take from a store what it had acknowledged: one node at a time, when all are whole. */

const STORE_PARTS = ['identity.json', 'db'];
/** Where a node puts a database that it found damaged. Only one at a time. */
const DAMAGED = 'db.damaged';
/** Until what a node's peers heard of its batches stands on their disks, with a margin. */
const REMEMBERED_AFTER_MS = 2_500;
const HEARD_BOUND_MS = 30_000;
/** How long the rest of the cluster is left alone while a node whose store was set back starts. */
const CALM_MS = 4_000;
/** Most of a table is older versions that nobody reads any more. */
const MAX_FLIPS = 8;
/** A store that is hardly begun is not worth it. */
const MIN_FILE_BYTES = 4_096;
/** LevelDB's log drops the rest of a block of this size when it meets a bad record. */
const LOG_BLOCK_BYTES = 32 * 1024;

/** Empties the folder; it may be a file system of its own. */
function emptyFolder(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
}

/** The store out of the way: what an operator does with one that cannot be opened. */
export function setAside({ nodes, folder }: Pick<Scene, 'nodes' | 'folder'>, nodeId: string): void {
  const to = join(folder, 'aside', `${nodeId}-${Date.now()}`);
  mkdirSync(to, { recursive: true });
  for (const part of STORE_PARTS) {
    const from = join(nodes.folder(nodeId), part);
    if (existsSync(from)) cpSync(from, join(to, part), { recursive: true });
    rmSync(from, { recursive: true, force: true });
  }
  discardDamaged(nodes.folder(nodeId));
}

/** What an operator does once he looked at the disk. */
function discardDamaged(folder: string): void {
  rmSync(join(folder, DAMAGED), { recursive: true, force: true });
}

/** Starts a node whose store was damaged. One that says it cannot be opened is set aside, as it asks for. */
async function startDamaged(scene: Scene, nodeId: string): Promise<void> {
  if (await scene.start(nodeId, { mayFail: true })) return;
  scene.say(`${nodeId} cannot open its store: set aside`);
  setAside(scene, nodeId);
  await scene.start(nodeId);
}

const wipe: Fault = {
  name: 'wipe',
  losesStore: true,
  weight: 2,
  strike: (scene) =>
    scene.whenWhole(async () => {
      const nodeId = scene.claim()!;
      await scene.nodes.kill(nodeId);
      emptyFolder(scene.nodes.folder(nodeId));
      scene.say(`${nodeId}: the folder is deleted`);
      await scene.start(nodeId);
      scene.release(nodeId);
      return nodeId;
    }),
};

/** Bytes of a file that may be hurt: of a log blocks that others follow, for what its end held nobody can know. */
function vulnerableBytes(name: string, bytes: number): number {
  return name.endsWith('.log') ? (Math.ceil(bytes / LOG_BLOCK_BYTES) - 2) * LOG_BLOCK_BYTES : bytes;
}

/** The files of a store that may be hurt, by kind: tables, twice as often as logs. */
function vulnerableFiles({ nodes }: Scene, nodeId: string): { path: string; bytes: number }[][] {
  const folder = join(nodes.folder(nodeId), 'db');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  // A file of a running node may be gone in the next moment.
  const bytesOf = (name: string) =>
    vulnerableBytes(name, statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
  const filesOf = (ending: string) =>
    names
      .filter((name) => name.endsWith(ending))
      .map((name) => ({ path: join(folder, name), bytes: bytesOf(name) }))
      .filter(({ bytes }) => bytes > MIN_FILE_BYTES);
  return [filesOf('.ldb'), filesOf('.ldb'), filesOf('.log')].filter((files) => files.length > 0);
}

/** Flips bits of tables or of logs; which, in words. */
function flipBits(scene: Scene, nodeId: string): string[] {
  const { random } = scene;
  const kinds = vulnerableFiles(scene, nodeId);
  if (kinds.length === 0) return [];
  // Never both: a gap in the log has the node rebuild its store, and nobody would miss what a table lacks.
  const files = random.pick(kinds);
  return Array.from({ length: 1 + random.below(MAX_FLIPS) }, () => flipBit(random.pick(files), random));
}

function flipBit({ path, bytes }: { path: string; bytes: number }, random: SeededRandom): string {
  const at = random.below(bytes);
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  byte[0]! ^= 1 << random.below(8);
  writeSync(file, byte, 0, 1, at);
  closeSync(file);
  return `byte ${at} of ${basename(path)}`;
}

const bitFlip: Fault = {
  name: 'flip',
  losesStore: true,
  weight: 2,
  async strike(scene) {
    const candidates = scene.nodes.ids.filter((id) => vulnerableFiles(scene, id).length > 0);
    if (candidates.length === 0) return false;
    return scene.whenWhole(async () => {
      const nodeId = scene.claim(scene.random.pick(candidates))!;
      let flips: string[] = [];
      await mustSurvive(scene, nodeId, async () => {
        await scene.nodes.kill(nodeId);
        discardDamaged(scene.nodes.folder(nodeId));
        flips = flipBits(scene, nodeId);
        scene.say(`${nodeId}: a bit is flipped in ${flips.join(', ') || 'nothing'}`);
        await startDamaged(scene, nodeId);
      });
      scene.release(nodeId);
      return flips.length > 0 ? nodeId : undefined;
    });
  },
};

function copyStore(from: string, to: string): void {
  for (const part of STORE_PARTS) {
    rmSync(join(to, part), { recursive: true, force: true });
    cpSync(join(from, part), join(to, part), { recursive: true });
  }
}

/** Whether every other node has heard, in gossip, of a later batch of this node. */
async function allHeardAbove({ nodes }: Scene, nodeId: string, batch: number): Promise<boolean> {
  for (const other of nodes.ids) {
    if (other === nodeId) continue;
    const report = await nodes.report(other);
    const facts = report?.endpoints.find((endpoint) => endpoint.nodeId === nodeId)?.facts;
    if (!(Number(facts?.syncedBatch ?? 0) > batch)) return false;
  }
  return true;
}

async function untilHeardAbove(scene: Scene, nodeId: string, batch: number): Promise<boolean> {
  const untilMs = performance.now() + HEARD_BOUND_MS;
  while (!(await allHeardAbove(scene, nodeId, batch))) {
    if (performance.now() > untilMs || scene.isOver()) return false;
    await scene.pass(250, 250);
  }
  return true;
}

/**
 * Sets a store back to a copy. A rollback that no peer's memory shows is a stated limit: so the copy is used
 * only when every peer has long heard of a later batch, and nothing else happens while the node finds out.
 */
const restore: Fault = {
  name: 'restore',
  losesStore: true,
  async strike(scene) {
    const { nodes } = scene;
    const nodeId = scene.claim();
    if (nodeId === undefined) return false;
    const copy = join(scene.folder, 'copy', `${nodeId}-${Date.now()}`);
    await nodes.kill(nodeId);
    copyStore(nodes.folder(nodeId), copy);
    scene.say(`${nodeId}: a copy of the store is made`);
    await scene.start(nodeId);
    const batch = (await nodes.report(nodeId))?.syncedBatch ?? Number.MAX_SAFE_INTEGER;
    scene.release(nodeId);
    await scene.pass(2_000, 8_000);
    const struck = await scene.whenWhole(async () => {
      if (!(await untilHeardAbove(scene, nodeId, batch))) return undefined;
      scene.claim(nodeId);
      await new Promise((resolve) => setTimeout(resolve, REMEMBERED_AFTER_MS));
      await nodes.kill(nodeId);
      copyStore(copy, nodes.folder(nodeId));
      scene.say(`${nodeId}: set back to the copy`);
      await scene.start(nodeId);
      await new Promise((resolve) => setTimeout(resolve, CALM_MS));
      scene.release(nodeId);
      return nodeId;
    });
    rmSync(copy, { recursive: true, force: true });
    return struck;
  },
};

export const STORE_FAULTS: readonly Fault[] = [wipe, bitFlip, restore];
