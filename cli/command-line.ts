import type { CommonOptions } from './contact.js';
import type { Environment } from './environment.js';

/** A word as a POSIX shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command to type that means the same cluster and state folder as this one. */
export function commandLine(
  environment: Environment,
  words: readonly string[],
  { config, data }: Pick<CommonOptions, 'config' | 'data'>,
): string {
  const rest = [...words];
  if (config !== undefined) rest.push('--config', config);
  if (data !== undefined) rest.push('--data', data);
  return [environment.command, ...rest.map(quoted)].join(' ');
}
