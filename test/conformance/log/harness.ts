import { cp, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDisk } from '../../../node/storage/memory-disk.js';
import type { Clock } from '../../../ports/clock.js';
import { silentLogger } from '../../../ports/logger.js';
import { realRandom, realTimers } from '../../../ports/real.js';
import { type LogConfig, logConfigSchema } from '../../../services/log/config.js';
import { type LogCore, openLogCore } from '../../../services/log/core.js';
import type { LogDescription } from '../../../services/log/log.js';
import { openLogFolder } from '../../../services/log/log-folder.js';
import { createLog } from '../../../services/log/opening.js';
import { seededRandom } from '../storage/harness.js';
import type { LimitOptions, LogHarness } from './log-conformance.js';

export const PARTITIONS = 4;

export function configOf(limits: LimitOptions = {}, folder = 'unused'): LogConfig {
  return logConfigSchema.parse({
    dataDir: folder,
    port: 0,
    partitions: PARTITIONS,
    minFreeDiskBytes: 1,
    ...limits,
  });
}

/** A wall clock that the tests move. */
export function testClock(): Clock & { movedMs: number } {
  const clock = {
    movedMs: 0,
    wallMs: () => 1_700_000_000_000 + clock.movedMs,
    monotonicMs: () => performance.now(),
  };
  return clock;
}

/** A harness that opens log cores. */
export interface CoreHarness extends Omit<LogHarness, 'open'> {
  clock: Clock & { movedMs: number };
  open(limits?: LimitOptions): Promise<LogCore>;
  /** After `kill`: loses a part of the middle of what was written last. */
  loseMiddleOfLog(): Promise<void>;
}

export async function memoryHarness(): Promise<CoreHarness & { disk: MemoryDisk }> {
  const disk = new MemoryDisk({ random: seededRandom(1), syncMs: () => 1 });
  const clock = testClock();
  let description: LogDescription | undefined;
  let made = 0;
  return {
    disk,
    clock,
    async open(limits) {
      const store = disk.open(realTimers);
      if (description === undefined) {
        description = { logId: `memory-${++made}`, partitions: PARTITIONS };
        await createLog(store, description);
      }
      const parts = { store, description, clock, timers: realTimers, logger: silentLogger };
      return openLogCore({ ...parts, limits: configOf(limits) });
    },
    kill: async () => disk.kill(),
    async wipe() {
      disk.wipe();
      description = undefined;
    },
    async pass(ms) {
      clock.movedMs += ms;
    },
    async loseMiddleOfLog() {
      if (!disk.loseMiddleBatch()) throw new Error('there is no middle');
    },
    dispose: async () => undefined,
  };
}

const PAGE_BYTES = 4_096;

export async function levelHarness(): Promise<CoreHarness & { folder(): string }> {
  const base = await mkdtemp(join(tmpdir(), 'tallyring-log-'));
  const clock = testClock();
  const opened: LogCore[] = [];
  let life = 0;
  const folder = () => join(base, `life-${life}`);
  return {
    clock,
    folder,
    async open(limits) {
      const config = configOf(limits, folder());
      const parts = { clock, timers: realTimers, random: realRandom, logger: silentLogger };
      const core = await openLogCore({
        ...(await openLogFolder({ folder: folder(), ...config, ...parts })),
        ...parts,
        limits: config,
      });
      opened.push(core);
      return core;
    },
    /** The files as they are at this moment are what a killed process leaves; the next life has a copy of them. */
    async kill() {
      const dead = folder();
      life++;
      await cp(dead, folder(), { recursive: true });
    },
    wipe: () => rm(folder(), { recursive: true }),
    async pass(ms) {
      clock.movedMs += ms;
    },
    loseMiddleOfLog: () => zeroPage(join(folder(), 'db')),
    async dispose() {
      for (const core of opened) await core.close();
      await rm(base, { recursive: true });
    },
  };
}

/** Zeroes one page in the middle of the longest log. */
async function zeroPage(database: string): Promise<void> {
  const logs = (await readdir(database)).filter((name) => name.endsWith('.log'));
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(database, name))).size));
  const size = Math.max(...sizes);
  if (size < 32 * PAGE_BYTES) throw new Error(`the log has only ${size} bytes`);
  const file = await open(join(database, logs[sizes.indexOf(size)]!), 'r+');
  const at = Math.floor(size / 2 / PAGE_BYTES) * PAGE_BYTES;
  await file.write(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, at);
  await file.close();
}
