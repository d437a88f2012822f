import { COORDINATOR, type Fault, REPLICA } from './faults.js';
import { linksAround } from './partitions.js';
import type { ProfileName } from './profiles.js';

/** Faults that are not drawn, for what chance would hardly bring about; otherwise undefined. */
export function scheduleOfProfile(profile: ProfileName): Fault[] | undefined {
  if (profile === 'unsynced state') return killsBeforeSync();
  if (profile === 'registers, kills') return killsAfterPromises();
  if (profile === 'sleeping coordinators') return pausesAfterMerges();
  return profile === 'registers, wiped stores' ? wipesAfterAccepts() : undefined;
}

function pausesAfterMerges(): Fault[] {
  return Array.from({ length: 30 }, (_, i): Fault => {
    const trigger = { reply: 'peer.merge', nth: 1 + 5 * i };
    return { kind: 'pause', atMs: 0, trigger, node: COORDINATOR, durationMs: 600 };
  });
}

function wipesAfterAccepts(): Fault[] {
  return Array.from({ length: 60 }, (_, i): Fault => {
    const trigger = { reply: 'peer.registerAccept', nth: 5 + 8 * i };
    return { kind: 'wipe', atMs: 0, trigger, node: REPLICA };
  });
}

function killsAfterPromises(): Fault[] {
  return Array.from({ length: 40 }, (_, i): Fault => {
    const trigger = { reply: 'peer.registerPromise', nth: 1 + 3 * i };
    return { kind: 'kill', atMs: 0, trigger, node: REPLICA, durationMs: 5 };
  });
}

/**
 * In turn each node takes long to sync while the next one is cut off; then it is killed and starts again at once.
 * If what it had not synced was read meanwhile, only the third node holds it when all are together again.
 */
function killsBeforeSync(): Fault[] {
  const faults: Fault[] = [];
  const nodes = ['node-1', 'node-2', 'node-3'];
  for (let turn = 0; turn < 8; turn++) {
    const [node, other] = [nodes[turn % 3]!, nodes[(turn + 1) % 3]!];
    const atMs = 300 + turn * 1_100;
    const durationMs = 400;
    const links = linksAround(other, nodes);
    faults.push({ kind: 'slow disk', atMs, node, factor: 2_000, durationMs });
    faults.push({ kind: 'partition', atMs, shape: 'isolate one', links, durationMs });
    faults.push({ kind: 'kill', atMs: atMs + 400, node, durationMs: 20 });
  }
  return faults;
}
