import type { Shard } from '../../../counter/shard.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import type { ProducerShard } from '../../../proto/calls.js';
import { type CellAddress, decodeEntryKey, type Entry, type EntryAddress } from '../../../proto/entry.js';

/** `stalled` takes calls and never answers them, as a paused process does. */
export type NodeState = 'up' | 'refusing' | 'stalled';

export interface Stored {
  address: EntryAddress;
  shard: Shard;
  bytes: string;
}

export interface FakeNode {
  readonly nodeId: string;
  readonly address: string;
  state: NodeState;
  readonly entries: Map<string, Stored>;
  readonly columns: Map<string, Entry>;
  /** Calls that came in, by name. */
  readonly calls: Record<string, number>;
}

/** Merges by sequence. */
export function store(node: FakeNode, name: string, stored: Stored): void {
  const known = node.entries.get(name);
  if (known === undefined || known.shard.sequence < stored.shard.sequence) node.entries.set(name, stored);
}

export function storeColumn(node: Pick<FakeNode, 'columns'>, entry: Entry): void {
  const name = entry.key.toString('hex');
  const held = node.columns.get(name);
  if (held === undefined || mergeValues(entry.key, held.value, entry.value) === 'incoming')
    node.columns.set(name, entry);
}

/** The newest columns of a key that any of these replicas holds. */
export function columnEntriesOf(key: string, nodes: readonly FakeNode[]): Entry[] {
  const together: Pick<FakeNode, 'columns'> = { columns: new Map() };
  for (const { columns } of nodes) {
    for (const entry of columns.values()) {
      if (decodeEntryKey(entry.key).key === key) storeColumn(together, entry);
    }
  }
  return [...together.columns.values()];
}

/** The newest of the shards that any of these replicas holds and that `wanted` takes. */
function newestOf(nodes: readonly FakeNode[], wanted: (address: EntryAddress) => boolean): Stored[] {
  const newest = new Map<string, Stored>();
  for (const { entries } of nodes) {
    for (const [name, stored] of entries) {
      if (!wanted(stored.address)) continue;
      const known = newest.get(name);
      if (known === undefined || known.shard.sequence < stored.shard.sequence) newest.set(name, stored);
    }
  }
  return [...newest.values()];
}

/** The shards of a cell. */
export function shardsOf(cell: CellAddress, nodes: readonly FakeNode[]): ProducerShard[] {
  const { key, eventType, granularity, window } = cell;
  const isOfCell = (address: EntryAddress) =>
    address.key === key &&
    address.eventType === eventType &&
    address.granularity === granularity &&
    address.window === window;
  return newestOf(nodes, isOfCell).map(({ address, shard }) => ({
    producerId: Buffer.from(address.producerId, 'hex'),
    ...shard,
  }));
}

/** The shards of all totals. */
export function totalsOf(nodes: readonly FakeNode[]): Shard[] {
  return newestOf(nodes, ({ granularity }) => granularity === 'total').map(({ shard }) => shard);
}
