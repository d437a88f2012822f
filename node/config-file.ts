import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { TallyringError } from '../proto/errors.js';
import { nounOf, schemaProblem } from '../proto/schema-problem.js';
import { type ClusterConfig, clusterSchema } from './config.js';

type Path = readonly PropertyKey[];
export interface Problem {
  path: Path;
  message: string;
}

const MAX_PROBLEMS_SHOWN = 10;

/** A configuration and where it came from. */
export interface ConfigText {
  text: string;
  name: string;
}

/** Reads and checks a cluster.yml. Throws INVALID_ARGUMENT that names file, line, field and what is allowed. */
export function loadClusterConfig(path: string): ClusterConfig {
  return parseClusterConfig(readConfigText(path), path);
}

/** Throws INVALID_ARGUMENT. */
export function readConfigText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : String(cause);
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `cannot read the cluster's configuration ${path}: ${reason}`,
    );
  }
}

/** `name` stands in errors for where the text came from. Throws INVALID_ARGUMENT. */
export function parseClusterConfig(text: string, name: string): ClusterConfig {
  return parseConfig({ text, name }, clusterSchema, crossProblems);
}

/**
 * What a schema makes of a YAML text. `crossProblems` finds what its fields say only together. Throws
 * INVALID_ARGUMENT that names file, line and field.
 */
export function parseConfig<S extends z.ZodType>(
  { text, name }: ConfigText,
  schema: S,
  crossProblems: (config: z.output<S>) => Problem[],
): z.output<S> {
  const lines = new LineCounter();
  const document = parseDocument(text, { uniqueKeys: true, lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    fail(
      document.errors.slice(0, MAX_PROBLEMS_SHOWN).map((error) => {
        return `${name}:${lines.linePos(error.pos[0]).line}: ${yamlMessage(error.code, error.message)}`;
      }),
    );
  }
  const value: unknown = document.toJS();
  const checked = schema.safeParse(value, { error: schemaProblem });
  const problems = checked.success
    ? crossProblems(checked.data)
    : checked.error.issues.map((issue) => problemOf(issue, schema));
  if (!checked.success || problems.length > 0) {
    fail(
      problems.slice(0, MAX_PROBLEMS_SHOWN).map(({ path, message }) => {
        const line = lineOf(path);
        const field = path.length === 0 ? '' : `${fieldName(path)}: `;
        return `${name}${line === undefined ? '' : `:${line}`}: ${field}${message}`;
      }),
    );
  }
  return checked.data;

  /** Line of the field, or of the nearest part of its path that the text has. */
  function lineOf(path: Path): number | undefined {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | null;
      if (node?.range) return lines.linePos(node.range[0]).line;
    }
    return undefined;
  }
}

function fail(problems: string[]): never {
  throw new TallyringError('INVALID_ARGUMENT', problems.join('\n'));
}

function yamlMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'a key stands here twice; keep one of them';
  return `not YAML: ${message}`;
}

/** nodes[1].port */
function fieldName(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? String(part) : `.${String(part)}`;
  }
  return text;
}

function problemOf(issue: z.core.$ZodIssue, schema: z.ZodType): Problem {
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedKeys(schema, issue.path);
    const unknown = issue.keys.map((key) => `\`${key}\``).join(', ');
    const one = issue.keys.length === 1;
    const message = `unknown ${one ? 'field' : 'fields'} ${unknown}; allowed: ${allowed.join(', ')}`;
    return { path: [...issue.path, issue.keys[0]!], message };
  }
  if (issue.path.length === 0) {
    const keys = allowedKeys(schema, []).join(', ');
    return { path: [], message: `must be a YAML map with the fields ${keys}` };
  }
  if (issue.code === 'invalid_type' && issue.message === 'is missing') {
    return { path: issue.path, message: `is missing; expected ${nounOf(issue.expected)}` };
  }
  return { path: issue.path, message: issue.message };
}

interface SchemaNode {
  shape?: Record<string, SchemaNode>;
  element?: SchemaNode;
  /** Of what is looked at first, and then checked. */
  out?: SchemaNode;
  unwrap?(): SchemaNode;
}

/** Fields that the schema knows at a path. */
function allowedKeys(schema: z.ZodType, path: Path): string[] {
  let node = schema as unknown as SchemaNode | undefined;
  for (const part of [...path, undefined]) {
    for (;;) {
      if (node?.out !== undefined) node = node.out;
      else if (node?.unwrap !== undefined && node.element === undefined) node = node.unwrap();
      else break;
    }
    if (part === undefined) break;
    node = typeof part === 'number' ? node?.element : node?.shape?.[String(part)];
  }
  return Object.keys(node?.shape ?? {});
}

/** What the schema's fields say only together, and only to a node that listens. */
function crossProblems(config: ClusterConfig): Problem[] {
  const problems: Problem[] = [];
  const used = new Set(config.nodes.map((node) => `${node.host}:${node.port}`));
  for (const [i, node] of config.nodes.entries()) {
    if (!config.insecure && !isLoopback(node.host)) {
      problems.push({ path: ['nodes', i, 'host'], message: notLoopback(node.host) });
    }
    if (node.metricsPort === 0) continue;
    const address = `${node.host}:${node.metricsPort}`;
    if (used.has(address)) {
      problems.push({ path: ['nodes', i, 'metricsPort'], message: `address ${address} is used twice` });
    }
    used.add(address);
  }
  if (new Set(config.rollups).size < config.rollups.length) {
    problems.push({ path: ['rollups'], message: 'a granularity stands here twice' });
  }
  return problems;
}

export function notLoopback(host: string): string {
  return `${host} is not loopback, and connections are neither encrypted nor authenticated; \
set \`insecure: true\` if the network is trusted`;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
