import { openApiDocument } from '../services/http/openapi.js';
import { processingConfigSchema } from '../services/processing/config.js';
import {
  countEventShape,
  describeVideoShape,
  processEventsShape,
} from '../services/processing/http/shapes.js';
import { QUERY_API, queryShapes } from '../services/query/api.js';
import { queryConfigSchema } from '../services/query/config.js';

// docs/API.md: what the services' OpenAPI documents say, for people. `npm run docs:api` writes it.

type Json = Record<string, unknown>;

/** Of a JSON schema, as far as the services use it. */
interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  description?: string;
  default?: unknown;
  minimum?: number;
  maximum?: number;
}

interface Content {
  'application/json': { schema: Schema; example?: unknown };
}

interface Operation {
  summary: string;
  description?: string;
  parameters?: {
    name: string;
    in: string;
    required: boolean;
    description?: string;
    schema: Schema;
    example?: string;
  }[];
  requestBody?: { content: Content };
  responses: Record<string, { description: string; content: Content }>;
}

interface Service {
  document: Json;
  address: string;
}

/** With the limits that hold when nothing is configured. */
function services(): Service[] {
  const query = queryConfigSchema.parse({});
  const processing = processingConfigSchema.parse({});
  const [instance] = processing.instances;
  const write = {
    title: 'tallyring processing service',
    description:
      'Events come in here. An answer means that the log has them durably; each counts exactly once.',
    version: '1',
    routes: [processEventsShape(processing.maxEventsPerRequest), countEventShape, describeVideoShape],
  };
  const read = { ...QUERY_API, version: '1', routes: queryShapes(query.limits) };
  return [
    { document: openApiDocument(write), address: `${instance!.host}:${instance!.port}` },
    { document: openApiDocument(read), address: `${query.host}:${query.port}` },
  ];
}

export function apiMarkdown(): string {
  const parts = services().map(serviceText);
  return `${[HEAD, ...parts].join('\n')}`;
}

const HEAD = `# HTTP API

Made of the services' OpenAPI documents by \`npm run docs:api\`; a test holds it to them. The query service serves its
own at \`/openapi.json\`. Each service also answers \`GET /health\` (503 while it cannot do its work) and
\`GET /metrics\` (Prometheus).

Errors of all routes have one form, and the HTTP status that the route names:

\`\`\`json
{"error": {"code": "UNAVAILABLE", "message": "…", "mayHaveApplied": false, "retryable": true,
           "required": 2, "received": 0, "live": 1}}
\`\`\`

\`mayHaveApplied\` is false only when it is certain that nothing was applied; \`retryable\` says whether the same
request may simply be sent again; the three counts of replicas are there where they are known. Besides, every route
may answer 404 and 405 (there is no such route), 408 (the request came too slowly), 413, 414, 415 and 431 (body, URL,
content type, headers), and 500.
`;

function serviceText({ document, address }: Service): string {
  const { info, paths } = document as {
    info: { title: string; description: string };
    paths: Record<string, Record<string, Operation>>;
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      operationText(operation, { method: method.toUpperCase(), path, address }),
    ),
  );
  return `\n## ${info.title.replace(/^tallyring (.)/, (_, first: string) => first.toUpperCase())}\n\n${info.description}\n\n${operations.join('\n')}`;
}

interface Place {
  method: string;
  path: string;
  address: string;
}

function operationText(operation: Operation, place: Place): string {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const lines = [`### ${place.method} ${place.path}`, '', `${summary.replace(/ …$/, '')}.`, ''];
  if (description !== undefined) lines.push(description, '');
  if (parameters.length > 0) {
    const rows = parameters.map((parameter) => [
      parameter.in === 'header' ? `${parameter.name} (header)` : parameter.name,
      parameter.schema,
      parameter.required && parameter.schema.default === undefined,
      parameter.description,
    ]);
    lines.push(table('Parameter', rows as Row[]), '');
  }
  const body = requestBody?.content['application/json'];
  if (body !== undefined) lines.push(table('Field of the body', fieldRows(body.schema)), '');
  lines.push('```sh', curl(operation, place), '```', '');
  const good = responses['200']!.content['application/json'];
  if (good.example !== undefined) {
    lines.push('```json', JSON.stringify(good.example, null, 2), '```', '');
  }
  lines.push(table('Field of the answer', fieldRows(good.schema)), '', '| Status | Meaning |', '|---|---|');
  for (const [status, answer] of Object.entries(responses))
    lines.push(`| ${status} | ${answer.description} |`);
  return `${lines.join('\n')}\n`;
}

type Row = [name: string, schema: Schema, isRequired: boolean, description: string | undefined];

function table(head: string, rows: readonly Row[]): string {
  const lines = rows.map(([name, schema, isRequired, description]) => {
    const kind = `${typeText(schema)}${isRequired ? ', required' : defaultText(schema)}`;
    return `| \`${name}\` | ${escaped(kind)} | ${escaped(description ?? '')} |`;
  });
  return [`| ${head} | Type | Meaning |`, '|---|---|---|', ...lines].join('\n');
}

const escaped = (text: string) => text.replaceAll('|', '\\|');

/** `videos[].series[].count`: every field, those inside others behind them. */
function fieldRows(schema: Schema, prefix = ''): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const required = schema.required?.includes(name) ?? false;
    const path = `${prefix}${name}`;
    const inner = field.items ?? field.anyOf?.find(({ properties }) => properties) ?? field;
    const suffix = field.items === undefined ? '.' : '[].';
    const own: Row = [
      path,
      field,
      required && field.default === undefined && prefix === '',
      field.description,
    ];
    return [own, ...fieldRows(inner, `${path}${suffix}`)];
  });
}

function defaultText({ default: value }: Schema): string {
  return value === undefined ? '' : `, default \`${String(value)}\``;
}

function typeText(schema: Schema): string {
  const { type, anyOf, items, minimum, maximum } = schema;
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeText))].join(' or ');
  if (items !== undefined) {
    const inner = typeText(items);
    return inner === 'string' || items.enum !== undefined ? `list of ${inner}` : 'list';
  }
  const name = Array.isArray(type) ? type.join(' or ') : (type ?? 'any');
  const isBounded = minimum !== undefined && Math.abs(minimum) < Number.MAX_SAFE_INTEGER;
  return isBounded && maximum !== undefined ? `${name}, ${minimum} to ${maximum}` : name;
}

function curl({ parameters = [], requestBody }: Operation, { path, address }: Place): string {
  const body = requestBody?.content['application/json'].example;
  if (body !== undefined) {
    return `curl -s ${address}${path} -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body)}'`;
  }
  const query = parameters
    .filter(({ example }) => example !== undefined)
    .map(({ name, example }) => `${name}=${example}`);
  return `curl -s '${address}${path}?${query.join('&')}'`;
}
