import { TallyringError } from '../../proto/errors.js';
import type { MemoryDisk } from './memory-disk.js';
import { createOver, openOver } from './opening.js';
import type { OpenedStore } from './store.js';
import type { StoreParts } from './store-parts.js';

export interface MemoryStoreOptions extends StoreParts {
  disk: MemoryDisk;
}

/** Opens the store on a simulated disk, or makes a new one there. Same errors as the LevelDB store's. */
export async function openMemoryStore(options: MemoryStoreOptions): Promise<OpenedStore> {
  const { disk, cluster, nodeId } = options;
  if (disk.isOpen) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      'the disk is in use by another process: stop that node first',
    );
  }
  const { identity } = disk;
  if (identity !== undefined && (identity.cluster !== cluster || identity.nodeId !== nodeId)) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `the disk holds the data of node ${identity.nodeId} of cluster ${identity.cluster}, not of ${nodeId} of ${cluster}`,
    );
  }
  const opened = disk.open(options.timers);
  const engine = options.wrapEngine?.(opened) ?? opened;
  try {
    let storeId = identity?.storeId;
    if (storeId === undefined) {
      storeId = disk.random.bytes(16).toString('hex');
      await createOver(engine, storeId);
      disk.identity = { cluster, nodeId, storeId };
    }
    const renew = async () => {
      const renewed = disk.random.bytes(16).toString('hex');
      disk.identity = { cluster, nodeId, storeId: renewed };
      return renewed;
    };
    return await openOver(engine, options, { storeId, doubts: [], renew });
  } catch (error) {
    await engine.close();
    throw error;
  }
}
