// Compiles TypeScript into dist/ and puts the proto files beside the code that loads them.
//   node scripts/build.mjs        what runs: nodes, SDK, command line
//   node scripts/build.mjs all    tests and benchmarks as well
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
mkdirSync(join(root, 'dist', 'proto'), { recursive: true });
for (const name of readdirSync(join(root, 'proto'))) {
  if (name.endsWith('.proto')) cpSync(join(root, 'proto', name), join(root, 'dist', 'proto', name));
}
// The query service's page is served as it stands.
cpSync(join(root, 'services', 'query', 'page'), join(root, 'dist', 'services', 'query', 'page'), {
  recursive: true,
});
const project = process.argv[2] === 'all' ? 'tsconfig.json' : 'tsconfig.build.json';
const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const args = [tsc, '-p', join(root, project)];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
process.exitCode = status ?? 1;
