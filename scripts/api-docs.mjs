// Writes docs/API.md, of what the services' schemas say. `npm run docs:api` builds them first.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiMarkdown } from '../dist/scripts/api-markdown.js';

const path = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'API.md');
writeFileSync(path, apiMarkdown());
console.log(`wrote ${path}`);
