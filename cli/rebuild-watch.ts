import type { NodeReport } from '../proto/calls.js';
import { TallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import type { CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { formatCount, formatDuration } from './format.js';
import { isReady, type Sight, stateOf, withoutFigures } from './node-processes.js';

/** Shows how a rebuilt node gets on until it is normal. */

const LOOK_INTERVAL_MS = 500;
/** Elsewhere than on a terminal: a line when the state changes, and at least so often. */
const LINE_INTERVAL_MS = 5_000;
const SPEED_INTERVAL_MS = 1_000;

/** The node, and what the others answer. */
export interface RebuildLook {
  own: Sight;
  others: readonly (NodeReport | undefined)[];
}

export interface RebuildWatch {
  environment: Environment;
  options: CommonOptions;
  nodeId: string;
  /** A state that stays the same for so long is a stall. */
  stallMs: number;
  look(): Promise<RebuildLook>;
  interrupted(): boolean;
  /** The end of the node's log, when its process is gone. */
  lastWords(): string;
}

/**
 * Resolves with the report of the normal node, or with undefined when it was interrupted. Throws UNAVAILABLE when
 * the process ends or nothing moves any more, STORE_FAILED when the new store fails too: the node itself, where it
 * runs, goes on in any case.
 */
export async function watchRebuild(watch: RebuildWatch): Promise<NodeReport | undefined> {
  const { environment, nodeId, stallMs } = watch;
  const line = progressLine(environment, nodeId);
  let known = '';
  let changedMs = environment.nowMs();
  try {
    for (;;) {
      const { own, others } = await watch.look();
      if (isReady(own)) return own.report;
      if (own.pid === undefined) throw gone(watch);
      if (own.report?.storeState === 'failed') throw failedAgain(watch);
      if (watch.interrupted()) return undefined;
      const state = stateOf(own);
      const nowMs = environment.nowMs();
      if (state !== known) [known, changedMs] = [state, nowMs];
      else if (nowMs - changedMs > stallMs) throw stalled(watch, state);
      const most = Math.max(0, ...others.map((report) => report?.entries ?? 0));
      line.show({ state, entries: own.report?.entries, most });
      await environment.sleep(LOOK_INTERVAL_MS);
    }
  } finally {
    line.end();
  }
}

function gone({ nodeId, environment, options, lastWords }: RebuildWatch): TallyringError {
  const start = commandLine(environment, ['cluster', 'start', nodeId], options);
  return new TallyringError(
    'UNAVAILABLE',
    `the process of ${nodeId} is gone; start it again with ${start}, it goes on by itself; ${lastWords()}`,
  );
}

function failedAgain({ nodeId, lastWords }: RebuildWatch): TallyringError {
  return new TallyringError(
    'STORE_FAILED',
    `the new store of ${nodeId} has failed too: check its disk; ${lastWords()}`,
  );
}

function stalled({ nodeId, environment, options, stallMs }: RebuildWatch, state: string): TallyringError {
  const again = commandLine(environment, ['cluster', 'rebuild', nodeId], options);
  const status = commandLine(environment, ['status'], { config: options.config });
  return new TallyringError(
    'UNAVAILABLE',
    `${nodeId} has not got on for ${formatDuration(stallMs)}: ${state}. It keeps trying by itself; see with ${status} \
which nodes are missing, and watch on with ${again}`,
  );
}

interface Shown {
  state: string;
  entries: number | undefined;
  /** The most entries that another node holds. */
  most: number;
}

function progressLine(environment: Environment, nodeId: string) {
  const { stderr } = environment;
  const startMs = environment.nowMs();
  const erase = stderr.isTty ? '\r\u001b[K' : '';
  let kind = '';
  let writtenMs = startMs;
  let speed = { entries: 0, atMs: startMs, perSecond: 0 };
  return {
    show({ state, entries, most }: Shown): void {
      const nowMs = environment.nowMs();
      const held = entries ?? 0;
      if (nowMs - speed.atMs >= SPEED_INTERVAL_MS) {
        const perSecond = Math.max(0, ((held - speed.entries) / (nowMs - speed.atMs)) * 1_000);
        speed = { entries: held, atMs: nowMs, perSecond };
      }
      const figures = [
        `${nodeId}  ${entries === undefined ? '?' : formatCount(entries)} of ${formatCount(most)} entries`,
        `${formatCount(Math.round(speed.perSecond))}/s`,
        formatDuration(nowMs - startMs),
      ].join('  ');
      const isNew = withoutFigures(state) !== kind;
      if (stderr.isTty) {
        if (isNew) void stderr.write(`${erase}${nodeId}  ${state}\n`);
        void stderr.write(`${erase}${fitted(figures, state, stderr.columns - 1)}`);
      } else if (isNew || nowMs - writtenMs >= LINE_INTERVAL_MS) {
        writtenMs = nowMs;
        void stderr.write(`${figures}  ${state}\n`);
      }
      kind = withoutFigures(state);
    },
    end(): void {
      if (erase !== '') void stderr.write(erase);
    },
  };
}

/** The end of a state says how far it is: that stays when the width does not do. */
function fitted(figures: string, state: string, width: number): string {
  const room = width - figures.length - 2;
  if (state.length <= room) return `${figures}  ${state}`;
  return room > 1 ? `${figures}  …${state.slice(1 - room)}` : figures.slice(0, width);
}
