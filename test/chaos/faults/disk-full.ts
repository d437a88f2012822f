import { execFileSync } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Nodes } from '../nodes.js';
import type { Fault } from './fault.js';

const DISK_BYTES = 192 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const FAILED_BOUND_MS = 15_000;

/** A small file system under the data folder of one node. */
export interface SmallDisk {
  nodeId: string;
  unmount(): void;
}

/** Mounts it, or says why that is not possible here. */
export function mountSmallDisk(nodes: Nodes, nodeId: string): SmallDisk | { lacks: string } {
  const folder = nodes.folder(nodeId);
  mkdirSync(folder, { recursive: true });
  const run = (command: string, words: string[]) =>
    execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  try {
    run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  } catch (error) {
    const reason = ((error as { stderr?: string }).stderr ?? (error as Error).message).trim();
    return { lacks: `a small file system cannot be mounted (${reason})` };
  }
  return {
    nodeId,
    unmount: () => {
      // What it holds stays beside it, for whoever looks into a failed run.
      cpSync(folder, `${folder}.kept`, { recursive: true });
      try {
        run('umount', ['-l', folder]);
      } catch {
        // gone already
      }
    },
  };
}

/** Writes a file until there is no room left. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let bytes = PIECE_BYTES; bytes >= 1; ) {
      try {
        if (writeSync(file, Buffer.alloc(bytes)) === 0) bytes = Math.floor(bytes / 2);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        bytes = Math.floor(bytes / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}

/** The disk of one node fills up until its store fails; then there is room again and the node is restarted. */
export function diskFull(disk: SmallDisk): Fault {
  const { nodeId } = disk;
  return {
    name: 'disk-full',
    async strike(scene) {
      const { nodes } = scene;
      if (scene.claim(nodeId) === undefined) return false;
      const ballast = join(nodes.folder(nodeId), 'ballast');
      scene.say(`the disk of ${nodeId} is full`);
      fill(ballast);
      const untilMs = performance.now() + FAILED_BOUND_MS;
      let isNoticed = false;
      while (!isNoticed && performance.now() < untilMs && !scene.isOver()) {
        const report = await nodes.report(nodeId);
        isNoticed = report?.storeState === 'failed' || !nodes.isAlive(nodeId);
        await scene.pass(100, 100);
      }
      scene.say(isNoticed ? `the store of ${nodeId} stopped` : `the store of ${nodeId} did not stop`);
      await scene.pass(0, 3_000);
      await nodes.kill(nodeId);
      rmSync(ballast, { force: true });
      await scene.start(nodeId);
      scene.release(nodeId);
      return true;
    },
  };
}
