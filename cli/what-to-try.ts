import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions } from './contact.js';
import { table } from './format.js';
import type { LocalCluster } from './node-processes.js';
import type { Part } from './parts.js';

/** What `start` tells a newcomer to type next, as it works from the working folder. */

const SAMPLE = join('test', 'data', 'changes.jsonl.gz');

export function whatToTry(cluster: LocalCluster, options: CommonOptions, own: readonly string[]): string {
  const { environment, services } = cluster;
  const { config, data } = options;
  // Only verbs that deal with processes know a state folder.
  const asking = (...words: string[]) => commandLine(environment, words, { config });
  const local = (...words: string[]) => commandLine(environment, words, { config, data });
  const victim = cluster.config.nodes.at(-1)!.id;
  const hasSample = existsSync(join(environment.cwd, SAMPLE));
  const via = services.length > 0 ? ['--via', 'log'] : [];
  const hints = [
    hasSample
      ? [asking('import', SAMPLE, ...via), 'count 57,820 real events']
      : [`${asking('import', ...via)} FILE`, 'count the events of a .jsonl or .jsonl.gz file'],
    ...(hasSample
      ? [[asking('get', 'CHANGES.txt', 'edit'), 'the hottest of them: 4,781, once all are counted']]
      : []),
    [asking('inc', 'my-video', 'view', '--by', '5'), 'count one event of value 5'],
    [asking('get', 'my-video', 'view'), 'read it'],
    [local('cluster', 'kill', victim), `kill a node (start it again: cluster start ${victim})`],
    [asking('status'), 'the cluster as nodetool shows it'],
    [asking('verify'), 'compare all replicas'],
  ];
  const lines = table(hints.map(([command, what]) => [`  ${command}`, what!]));
  const end = own.length === 0 ? 'Ctrl-C here only leaves.' : 'Ctrl-C stops it all.';
  const up = services.length > 0 ? 'Nodes and services are up.' : 'All nodes are up and normal.';
  return `\n${up} In another terminal, try:\n${curlLines(services)}${lines}${end}\n\n`;
}

/** Count, read, and read a range: the three that a newcomer tries first; and where the page is. */
export function curlLines(services: readonly Part[]): string {
  const write = services.find(({ kind }) => kind === 'processing');
  const read = services.find(({ kind }) => kind === 'query');
  if (write === undefined || read === undefined) return '';
  const event = (id: string, value: number) => ({
    eventId: id,
    videoId: 'cats.mp4',
    eventType: 'watch_ms',
    value,
  });
  const body = JSON.stringify({ events: [event('e1', 4200), event('e2', 1800)] });
  const asked = 'videoId=cats.mp4&eventType=watch_ms';
  return `  curl -s ${addressOf(write)}/processEvents -H 'content-type: application/json' -d '${body}'
  curl -s '${addressOf(read)}/getCount?${asked}'
  curl -s '${addressOf(read)}/getStats?${asked}&function=count,average&granularity=hour'

  http://${addressOf(read)}/#${asked}  shows it live in a browser

`;
}
