import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaLogConfigSchema } from '../../../services/log/config.js';
import { openLog } from '../../../services/log/open-log.js';
import { PROJECT, waitUntil } from '../../chaos/drill-cluster.js';
import type { Pipeline } from '../pipeline.js';
import type { DrillLog } from './drill-log.js';

const SCRIPT = join(PROJECT, 'scripts', 'kafka', 'start');
const GONE_BOUND_MS = 10_000;

/** A broker of the drill's own; its controller takes the port of the embedded log's metrics. */
export function kafkaLog(pipeline: Pipeline): DrillLog {
  const { log: port } = pipeline.ports;
  const folder = join(pipeline.folder, 'kafka');
  const kafka = kafkaLogConfigSchema.parse({ brokers: [`127.0.0.1:${port}`] });
  const killNow = () => {
    const pid = pidIn(folder);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  };
  process.on('exit', killNow);
  const kill = async () => {
    killNow();
    await waitUntil('the broker ends', GONE_BOUND_MS, async () => pidIn(folder) === undefined);
  };
  return {
    kind: 'kafka',
    partitions: kafka.partitions,
    section: { kafka },
    start: () => startBroker([folder, String(port)], pipeline.logFile('kafka')),
    kill,
    connect: () => openLog({ kafka }),
    async close() {
      await kill();
      process.off('exit', killNow);
    },
  };
}

/** Resolves when the broker answers. */
function startBroker(words: string[], logFile: string): Promise<void> {
  const log = openSync(logFile, 'a');
  const child = spawn(SCRIPT, words, { stdio: ['ignore', log, log] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else
        reject(new Error(`the broker did not start (exit code ${code}): ${readFileSync(logFile, 'utf8')}`));
    });
  });
}

/** Of the broker that was started in this folder; undefined when it does not live. */
function pidIn(folder: string): number | undefined {
  const file = join(folder, 'broker.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8'));
  const command = `/proc/${pid}/cmdline`;
  // Its number may be another process's by now.
  return existsSync(command) && readFileSync(command, 'utf8').includes(folder) ? pid : undefined;
}
