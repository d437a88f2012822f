import type { Flush, FlushCell, Series } from '../../counter/producer.js';
import { sleep } from '../../ports/clock.js';
import type { TallyringError } from '../../proto/errors.js';
import { backoffMs } from '../backoff.js';
import { type FlushPart, sendPart, splitFlush } from '../flush-part.js';
import type { ClientLimits } from '../options.js';
import type { ClientPorts } from '../ports.js';
import { RoundRouter } from '../round-router.js';
import type { Topology } from '../topology.js';
import type { Turns } from '../turns.js';
import type { Waiting } from './shard-store.js';

export interface ShardWriterParts {
  topology: Topology;
  ports: ClientPorts;
  limits: ClientLimits;
  flushTurns: Turns;
}

/**
 * Cells of one request, about. Small enough that a node is not busy with it for long, for reads wait behind it; and
 * large enough, for what a request costs in three nodes is more than many of its cells (measured: with 480 instead
 * of 120, and two in flight instead of four, the p99 of reads beside it halved).
 */
const SLICE_CELLS = 480;
const MAX_SLICES_IN_FLIGHT = 2;
/** For its turn among the slices of other flushes: one that a node does not answer holds up no others for longer. */
const MAX_TURN_WAIT_MS = 50;
const NOBODY: ReadonlySet<string> = new Set();
/** Fixed: what a successor reads at QUORUM must be there (DESIGN §11). */
const LEVEL = 'QUORUM';

interface Slice {
  sequence: number;
  cells: FlushCell[];
  series: Series[];
}

/** Writes shards of a flush until a quorum holds each, however long that takes. */
export class ShardWriter {
  readonly #parts: ShardWriterParts;

  constructor(parts: ShardWriterParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when every cell is acknowledged. Rejects only with the signal's reason.
   *
   * @param spreadMs over how long the requests are spread, so that nodes get an even load: then those of all flushes
   * take turns as well, unless that makes one as late as the next one should be.
   */
  async write(flush: Flush, { signal, onTrouble }: Waiting, spreadMs: number): Promise<void> {
    const { ports, flushTurns } = this.#parts;
    const { clock, timers } = ports;
    const slices = slicesOf(flush);
    const [beganMs, stepMs] = [clock.monotonicMs(), spreadMs / slices.length];
    let next = 0;
    const run = async () => {
      while (next < slices.length) {
        const at = next++;
        const earlyMs = beganMs + at * stepMs - clock.monotonicMs();
        if (earlyMs >= 1) await sleep(timers, earlyMs);
        const untilNextMs = beganMs + (at + 1) * stepMs - clock.monotonicMs();
        const pass = await flushTurns.take(Math.min(untilNextMs, MAX_TURN_WAIT_MS));
        try {
          await this.#writeSlice(slices[at]!, signal, onTrouble);
        } finally {
          pass();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(MAX_SLICES_IN_FLIGHT, slices.length) }, run));
  }

  async #writeSlice(
    slice: Slice,
    signal: AbortSignal,
    onTrouble: (error: TallyringError) => void,
  ): Promise<void> {
    const { ports } = this.#parts;
    const avoid = new Map<Series, string>();
    let open = slice;
    for (let failures = 0; ; ) {
      signal.throwIfAborted();
      const failed = await this.#attempt(open, failures, avoid);
      if (failed.size === 0) return;
      const [error] = failed.values();
      onTrouble(error!);
      open = only(open, (series) => failed.has(series));
      await sleep(ports.timers, backoffMs(++failures, ports.random));
    }
  }

  async #attempt(
    slice: Slice,
    failures: number,
    avoid: Map<Series, string>,
  ): Promise<Map<Series, TallyringError>> {
    const { topology, limits } = this.#parts;
    const router = new RoundRouter(topology, { cells: slice.cells.length, crowded: NOBODY });
    const timeoutMs = Math.min(limits.attemptTimeoutMs * 2 ** Math.min(failures, 8), limits.requestTimeoutMs);
    const parts = splitFlush(slice, (series) => ({
      node: router.nodeFor(series, LEVEL, avoid.get(series)),
      level: LEVEL,
      timeoutMs,
    }));
    const outcomes = await Promise.all(parts.map((part) => this.#send(part)));
    const failed = new Map(outcomes.flatMap((outcome) => [...outcome]));
    for (const { node, flush } of parts) {
      for (const series of flush.series) {
        if (node !== undefined && failed.has(series)) avoid.set(series, node.nodeId);
      }
    }
    return failed;
  }

  async #send(part: FlushPart): Promise<Map<Series, TallyringError>> {
    const { topology, limits } = this.#parts;
    const { ringEpoch, maxBatchBytes } = topology.description;
    const { failed, callError } = await sendPart(part, {
      ringEpoch,
      maxBatchBytes: Math.min(maxBatchBytes, limits.maxRequestBytes),
    });
    if (part.node !== undefined && callError === undefined) topology.nodes.succeeded(part.node.nodeId);
    if (part.node !== undefined && callError !== undefined)
      topology.nodes.failed(part.node.nodeId, callError);
    if ([...failed.values()].some(({ code }) => code === 'STALE_RING')) await topology.refresh();
    return failed;
  }
}

/** Runs of whole series, each of some SLICE_CELLS cells. */
function slicesOf({ sequence, cells }: Flush): Slice[] {
  const slices: Slice[] = [];
  let slice: Slice | undefined;
  let series: Series | undefined;
  for (const cell of cells) {
    if (cell.series !== series) {
      series = cell.series;
      if (slice === undefined || slice.cells.length >= SLICE_CELLS) {
        slice = { sequence, cells: [], series: [] };
        slices.push(slice);
      }
      slice.series.push(series);
    }
    slice!.cells.push(cell);
  }
  return slices;
}

function only({ sequence, cells, series }: Slice, keep: (series: Series) => boolean): Slice {
  return { sequence, cells: cells.filter((cell) => keep(cell.series)), series: series.filter(keep) };
}
