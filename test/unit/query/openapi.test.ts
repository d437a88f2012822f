import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { apiMarkdown } from '../../../scripts/api-markdown.js';
import { openApiDocument } from '../../../services/http/openapi.js';
import { HOTTEST_KEY } from '../../../services/processing/hottest-publisher.js';
import { QUERY_API } from '../../../services/query/api.js';
import { HOUR_MS, NOW_MS, queryFixture } from './query-fixture.js';

interface Parameter {
  name: string;
  required: boolean;
  schema: object;
  example?: string;
}

type Paths = Record<string, { get: { parameters: Parameter[] } }>;

describe('the OpenAPI document', () => {
  const { routes } = queryFixture();
  const document = openApiDocument({ ...QUERY_API, version: '1', routes });
  const { getCount, getStats, getReport } = Object.fromEntries(
    Object.entries(document.paths as Paths).map(([path, { get }]) => [path.slice(1), get.parameters]),
  );
  const named = (parameters: Parameter[] | undefined, name: string) =>
    parameters!.find((parameter) => parameter.name === name);

  it('tells what each parameter takes, as the texts that callers send', () => {
    expect(named(getCount, 'videoId')).toMatchObject({
      in: 'query',
      required: true,
      schema: { type: 'array', items: { type: 'string' }, maxItems: 100 },
      example: 'cats.mp4',
    });
    expect(named(getStats, 'granularity')!.schema).toMatchObject({ enum: ['day', 'hour', 'minute'] });
    expect(named(getStats, 'startTime')).toMatchObject({ required: false, schema: { type: 'string' } });
    expect(named(getStats, 'cache-control')).toMatchObject({ in: 'header' });
    expect(named(getReport, 'hours')).toMatchObject({
      required: false,
      description: 'Hours, the one that is going on included; 6 when absent',
      schema: { type: 'integer', minimum: 1, maximum: 168 },
    });
  });

  it.each(routes.map((route) => [route.path, route] as const))(
    '%s answers its own example in the form that it names',
    async (path, { examples, answers }) => {
      const { store, get } = queryFixture();
      store.count('cats.mp4', 'view', NOW_MS);
      store.count('cats.mp4', 'watch_ms', Date.parse('2026-01-31T10:30:00Z'), 2n ** 60n);
      const view = [{ videoId: 'cats.mp4', estimate: 1, error: 0 }];
      store.setColumn(HOTTEST_KEY, '0', JSON.stringify({ at: NOW_MS, windowMs: HOUR_MS, byType: { view } }));
      const { status, body } = await get(
        `${path}?${new URLSearchParams(examples!.query as Record<string, string>)}`,
      );
      expect(status).toBe(200);
      const { schema, example } = answers[200]! as { schema: z.ZodType; example: unknown };
      expect(schema.safeParse(body).error).toBeUndefined();
      expect(schema.safeParse(example).error).toBeUndefined();
    },
  );
});

it('docs/API.md is what the schemas say; if not: npm run docs:api', () => {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
  expect(readFileSync(join(root, 'docs', 'API.md'), 'utf8')).toBe(apiMarkdown());
});
