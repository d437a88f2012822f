import { decodeEntryKey, decodeShard, type Entry } from '../../proto/entry.js';
import type { Scene } from './faults/fault.js';
import { keysOf, valuesOf } from './replica-contents.js';

export const SURVIVAL_CHECK = 'synced state survives';

const WHOLE_WITHIN_MS = 8_000;
const POLL_MS = 50;

/**
 * What a whole node answered before it was stopped and hurt, it has afterwards, or says that it may lack it:
 * by recovering, or by damaged rows. `hurt` stops the node, does what it does, and starts it again.
 */
export async function mustSurvive(scene: Scene, nodeId: string, hurt: () => Promise<void>): Promise<void> {
  const { nodes } = scene;
  const before = await readWhole(scene, nodeId, () => keysOf(nodes.addressOf(nodeId), scene.keyPrefix));
  await hurt();
  if (before === undefined || before.length === 0) return;
  // Soon: repair brings back from the others what was lost here.
  const untilMs = performance.now() + WHOLE_WITHIN_MS;
  while (performance.now() < untilMs && !(await nodes.isWhole(nodeId))) await scene.pass(POLL_MS, POLL_MS);
  const after = await readWhole(scene, nodeId, async () => before.map(({ key }) => key));
  if (after === undefined) return;
  scene.survivors += before.length;
  const held = new Map(after.map((entry) => [entry.key.toString('latin1'), entry]));
  const lost = before.filter((entry) => isLost(entry, held.get(entry.key.toString('latin1'))));
  if (lost.length === 0) return;
  const { key, eventType, granularity, window, producerId } = decodeEntryKey(lost[0]!.key);
  scene.violated({
    check: SURVIVAL_CHECK,
    detail:
      `${nodeId} calls itself normal and whole, and lacks or holds an older version of ${lost.length} of ` +
      `${before.length} entries that it had, such as ${key}/${eventType}/${granularity}/${window} of ${producerId}`,
  });
}

function isLost(before: Entry, after: Entry | undefined): boolean {
  return after === undefined || decodeShard(after.value).sequence < decodeShard(before.value).sequence;
}

/** Entries of a node; undefined when it does not answer, or does not call itself whole before and after. */
async function readWhole(
  { nodes }: Scene,
  nodeId: string,
  keys: () => Promise<readonly Buffer[]>,
): Promise<Entry[] | undefined> {
  try {
    if (!(await nodes.isWhole(nodeId))) return undefined;
    const entries = await valuesOf(nodes, nodeId, await keys());
    return (await nodes.isWhole(nodeId)) ? entries : undefined;
  } catch {
    return undefined;
  }
}
