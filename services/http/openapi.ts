import { z } from 'zod';
import type { StaticFile } from './files.js';
import type { RouteShape } from './routes.js';

export interface ApiDescription {
  title: string;
  version: string;
  description: string;
  routes: readonly RouteShape[];
}

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of some routes, made of the schemas that check their requests. */
export function openApiDocument({ title, version, description, routes }: ApiDescription): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    paths[route.path] = path;
    path[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: { title, version, description, license: { name: 'MIT', identifier: 'MIT' } },
    paths,
    components: { schemas: { Error: ERROR_SCHEMA } },
  };
}

/** The document as the service shows it. */
export function openApiFile(api: ApiDescription): StaticFile {
  const body = Buffer.from(`${JSON.stringify(openApiDocument(api), null, 2)}\n`);
  return { path: '/openapi.json', contentType: 'application/json; charset=utf-8', body };
}

function operation(route: RouteShape): Json {
  const parameters = [
    ...parametersOf(route.query, { in: 'query', examples: route.examples?.query ?? {} }),
    ...parametersOf(route.headers, { in: 'header', examples: {} }),
  ];
  const answers = Object.entries(route.answers).map(([status, answer]) => {
    const types = status.startsWith('2') ? (route.alsoAnswers ?? []) : [];
    const schema = answer.schema === undefined ? ERROR_REFERENCE : schemaOf(answer.schema, 'output');
    const json: Json = { schema };
    if (answer.example !== undefined) json.example = answer.example;
    const others = types.map((type) => [type, { schema: { type: 'string' } }]);
    const content = { 'application/json': json, ...Object.fromEntries(others) };
    return [status, { description: answer.description, content }];
  });
  const described: Json = { operationId: route.path.replace(/^\//, ''), summary: route.summary };
  if (route.description !== undefined) described.description = route.description;
  if (parameters.length > 0) described.parameters = parameters;
  if (route.body !== undefined) described.requestBody = requestBody(route.body, route.examples?.body);
  return { ...described, responses: Object.fromEntries(answers) };
}

function requestBody(schema: z.ZodType, example: unknown): Json {
  const json: Json = { schema: schemaOf(schema, 'input') };
  if (example !== undefined) json.example = example;
  return { required: true, content: { 'application/json': json } };
}

function parametersOf(
  schema: z.ZodType | undefined,
  kind: { in: 'query' | 'header'; examples: Record<string, string | string[]> },
): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = property;
    const parameter: Json = { name, in: kind.in, required: required.includes(name), schema: rest };
    if (description !== undefined) parameter.description = description;
    if (kind.examples[name] !== undefined) parameter.example = kind.examples[name];
    return parameter;
  });
}

/** Texts in, JSON out: what a schema turns its input into is code, so the input side is shown for requests. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}

const ERROR_REFERENCE = { $ref: '#/components/schemas/Error' };

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'mayHaveApplied', 'retryable'],
      properties: {
        code: { type: 'string', description: 'A stable word, e.g. INVALID_ARGUMENT' },
        message: { type: 'string', description: 'What is wrong and what to do, for people' },
        mayHaveApplied: {
          type: 'boolean',
          description: 'False only when it is certain that nothing was applied',
        },
        retryable: { type: 'boolean', description: 'Whether the same request may simply be sent again' },
        required: { type: 'integer', description: 'Answers of replicas that the level requires' },
        received: { type: 'integer', description: 'Answers that came' },
        live: { type: 'integer', description: 'Replicas that were live' },
      },
    },
  },
};
