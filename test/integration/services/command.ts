import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT } from '../../chaos/drill-cluster.js';

/** The built command, for node. */
export const COMMAND = join(PROJECT, 'dist', 'cli', 'main.js');

export interface CommandEnd {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the tallyring command to its end; one that does not come to it is killed, so that what it said is seen. */
export function command(words: readonly string[], input = '', boundMs = 50_000): Promise<CommandEnd> {
  const child = spawn(process.execPath, [COMMAND, ...words], { cwd: PROJECT, stdio: 'pipe' });
  const end: CommandEnd = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    end.stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    end.stderr += chunk;
  });
  child.stdin.end(input);
  const bound = setTimeout(() => child.kill('SIGKILL'), boundMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(bound);
      resolve({ ...end, code });
    });
  });
}
