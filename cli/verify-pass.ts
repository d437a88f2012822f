import { windowStartMs } from '../counter/window.js';
import { hash64 } from '../ports/hash.js';
import { cellOfEntry, decodeEntryKey, tokenOfEntry } from '../proto/entry.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { addressOf, type Contact } from './contact.js';
import type { Environment } from './environment.js';
import { isoTime } from './format.js';
import { createProgress } from './progress.js';
import { ringOf } from './ring-of.js';
import { type Cursor, createCursor, differenceOf, mergeScans } from './verify-merge.js';

/** One pass of `verify` over all replicas. */

const PAGE_ENTRIES = 5_000;
const PRODUCERS_NAMED = 5;
const MAX_SEEN_CELLS = 500_000;

/** A cell whose replicas differ. */
export interface Difference {
  key: string;
  eventType: string;
  granularity: string;
  start: string | undefined;
  /** Entries of it that differ, and the producers of the first few. */
  entries: number;
  producerIds: string[];
  lacking: string[];
  differ: boolean;
}

export interface Findings {
  nodes: { nodeId: string; address: string }[];
  /** Distinct entries, and those that differ. */
  entries: number;
  differences: number;
  cells: number;
  /** Cells that differ for the first time; only where those are not counted as differences. */
  passing: number;
  /** Entries that a node holds without being a replica. */
  elsewhere: number;
  shown: Difference[];
}

/** Cells that earlier passes saw differ, by hash. Beyond the limit every cell counts as seen: rather one too many reported. */
export class SeenCells {
  readonly #cells = new Set<bigint>();

  add(cell: Buffer): void {
    if (this.#cells.size < MAX_SEEN_CELLS) this.#cells.add(hash64(cell));
  }

  has(cell: Buffer): boolean {
    return this.#cells.size >= MAX_SEEN_CELLS || this.#cells.has(hash64(cell));
  }
}

export interface PassOptions {
  /** Cells described in full. */
  limit: number;
  /** From 1. */
  pass: number;
  /** Learns what differs, unless `onlySeen`: then only what it knows counts as a difference. */
  seen: SeenCells;
  onlySeen: boolean;
}

/** Reads all replicas, side by side, and compares. Throws UNAVAILABLE when one cannot be read. */
export async function compare(
  environment: Environment,
  contact: Contact,
  options: PassOptions,
): Promise<Findings> {
  const { timeoutMs } = contact;
  const cluster = await contact.call((node) => node.describe({ timeoutMs }));
  const ring = ringOf(cluster);
  const nodes = cluster.nodes.map((node) => ({ nodeId: node.nodeId, address: addressOf(node) }));
  const tally = new PassTally(nodes, options);
  const { cursors, end } = await openCursors(environment, contact, { nodes, pass: options.pass });
  try {
    await mergeScans(cursors, ({ key, hashes }) => {
      const replicas = ring.replicasOf(tokenOfEntry(key)).nodeIds;
      const difference = differenceOf(replicas, hashes);
      // Entries that only a former owner holds are no difference between replicas.
      const isElsewhere =
        difference === undefined
          ? hashes.size > replicas.length
          : difference.lacking.length === replicas.length;
      tally.count(key, isElsewhere ? undefined : difference, isElsewhere);
    });
  } finally {
    end();
  }
  return tally.findings;
}

async function openCursors(
  environment: Environment,
  contact: Contact,
  { nodes, pass }: { nodes: Findings['nodes']; pass: number },
): Promise<{ cursors: Cursor[]; end(): void }> {
  const { timeoutMs } = contact;
  const label = pass === 1 ? 'verify' : `verify, pass ${pass}`;
  const progress = createProgress(environment, { noun: 'entries', label });
  const startedMs = performance.now();
  let read = 0;
  const cursors = await Promise.all(
    nodes.map(async ({ nodeId, address }) => {
      const node = await contact.connect(address);
      return createCursor(nodeId, async (after) => {
        const page = await node.scanLocal(after, PAGE_ENTRIES, { timeoutMs }).catch((error: unknown) => {
          throw unreadable(nodeId, error);
        });
        read += page.keys.length;
        const elapsedMs = performance.now() - startedMs;
        progress.update({ events: read, rejected: 0, elapsedMs });
        return page;
      });
    }),
  );
  return { cursors, end: () => progress.end() };
}

function unreadable(nodeId: string, error: unknown): TallyringError {
  const known = asTallyringError(error);
  return new TallyringError(
    'UNAVAILABLE',
    `node ${nodeId} cannot be read, so nothing is verified: ${known.message}`,
    { cause: error, mayHaveApplied: false },
  );
}

class PassTally {
  readonly findings: Findings;
  readonly #options: PassOptions;
  #cell: Buffer | undefined;
  /** Of the current cell. */
  #counts = false;
  #shown: Difference | undefined;

  constructor(nodes: Findings['nodes'], options: PassOptions) {
    this.#options = options;
    this.findings = { nodes, entries: 0, differences: 0, cells: 0, passing: 0, elsewhere: 0, shown: [] };
  }

  count(
    key: Buffer,
    difference: { lacking: string[]; differ: boolean } | undefined,
    isElsewhere: boolean,
  ): void {
    const { findings } = this;
    findings.entries++;
    if (isElsewhere) findings.elsewhere++;
    if (difference === undefined) return;
    // A cell's entries stand together; what follows the kind is what tells them apart.
    const cell = cellOfEntry(key);
    if (this.#cell?.equals(cell) !== true) this.#nextCell(key, cell);
    if (!this.#counts) return;
    findings.differences++;
    if (this.#shown !== undefined) include(this.#shown, key, difference);
  }

  #nextCell(key: Buffer, cell: Buffer): void {
    const { findings } = this;
    const { onlySeen, seen, limit } = this.#options;
    this.#cell = cell;
    this.#counts = !onlySeen || seen.has(cell);
    this.#shown = undefined;
    if (!this.#counts) {
      findings.passing++;
      return;
    }
    findings.cells++;
    if (!onlySeen) seen.add(cell);
    if (findings.shown.length >= limit) return;
    this.#shown = describe(key);
    findings.shown.push(this.#shown);
  }
}

function describe(entryKey: Buffer): Difference {
  const { key, eventType, granularity, window } = decodeEntryKey(entryKey);
  const start = granularity === 'total' ? undefined : isoTime(windowStartMs(granularity, window));
  return { key, eventType, granularity, start, entries: 0, producerIds: [], lacking: [], differ: false };
}

function include(shown: Difference, key: Buffer, entry: { lacking: string[]; differ: boolean }): void {
  shown.entries++;
  if (shown.producerIds.length < PRODUCERS_NAMED) shown.producerIds.push(decodeEntryKey(key).producerId);
  for (const nodeId of entry.lacking) if (!shown.lacking.includes(nodeId)) shown.lacking.push(nodeId);
  if (entry.differ) shown.differ = true;
}
