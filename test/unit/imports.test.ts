import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

// Who may import whom. A layer names the folders and packages that it stands on; anything else fails here.
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FOLDERS = ['ports', 'counter', 'proto', 'node', 'client', 'services', 'cli', 'bench'];

interface Import {
  file: string;
  target: string;
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm,
  );
  return [...found].map((match) => {
    const target = (match[1] ?? match[2] ?? match[3])!;
    return {
      file,
      target: target.startsWith('.') ? relative(root, join(root, dirname(file), target)) : target,
    };
  });
}

const imports = FOLDERS.flatMap(sources).flatMap(importsOf);

/** Imports of the files under `from` that none of the allowed prefixes (files, folders, packages) covers. */
function outside(from: (file: string) => boolean, allowed: readonly string[]): string[] {
  return imports
    .filter(({ file }) => from(file))
    .filter(({ target }) => !allowed.some((prefix) => target === prefix || target.startsWith(prefix)))
    .map(({ file, target }) => `${file} imports ${target}`);
}

const isIo = (target: string) =>
  target.startsWith('node:') ||
  builtinModules.includes(target) ||
  ['level', '@grpc/grpc-js', '@grpc/proto-loader', 'pino', 'ports/real.js'].includes(target);

const PURE_QUORUM = ['consistency', 'tally', 'latency', 'read-merge', 'read-plan', 'row-ranges', 'placement'];

const LOG_SHELLS = ['main', 'log-folder', 'identity-file', 'level-store', 'transport/', 'kafka/'].map(
  (name) => `services/log/${name}`,
);

describe('import directions', () => {
  it('finds the imports at all', () => {
    expect(imports.length).toBeGreaterThan(200);
  });

  it('counter/ is pure and stands on the error type alone', () => {
    expect(outside((f) => f.startsWith('counter/'), ['counter/', 'proto/errors.js'])).toEqual([]);
  });

  it('node/ring/ is pure', () => {
    expect(
      outside((f) => f.startsWith('node/ring/'), ['node/ring/', 'ports/hash.js', 'proto/errors.js']),
    ).toEqual([]);
  });

  it('the pure files of node/quorum/ import nothing with I/O', () => {
    const pure = PURE_QUORUM.map((name) => `node/quorum/${name}.ts`);
    expect(
      outside((f) => pure.includes(f), ['node/quorum/', 'node/ring/', 'node/storage/store.js', 'proto/']),
    ).toEqual([]);
  });

  it('the core knows no I/O: it is injected', () => {
    const shells = [
      'node/main.ts',
      'node/config-file.ts',
      'node/transport/',
      'node/storage/level-engine.ts',
      'node/storage/level-store.ts',
      'node/storage/table-check.ts',
      'node/storage/identity-file.ts',
    ];
    const core = (f: string) => f.startsWith('node/') && !shells.some((shell) => f.startsWith(shell));
    expect(
      imports.filter(({ file, target }) => core(file) && isIo(target) && target !== 'node:crypto'),
    ).toEqual([]);
  });

  it('node/quorum/ knows gossip only as its context does: by the membership interface', () => {
    expect(
      imports
        .filter(({ file, target }) => file.startsWith('node/quorum/') && target.startsWith('node/gossip/'))
        .filter(({ target }) => target !== 'node/gossip/membership.js'),
    ).toEqual([]);
  });

  it('client/ takes the ring and the consistency arithmetic from node/, nothing else', () => {
    const allowed = ['node/ring/', 'node/quorum/consistency.js'];
    const wrong = imports.filter(
      ({ file, target }) => file.startsWith('client/') && target.startsWith('node/') && !isIo(target),
    );
    expect(wrong.filter(({ target }) => !allowed.some((prefix) => target.startsWith(prefix)))).toEqual([]);
  });

  it('level is imported in one file of node/ and one of services/log', () => {
    const files = imports.filter(({ target }) => target === 'level').map(({ file }) => file);
    expect(files.sort()).toEqual(['node/storage/level-engine.ts', 'services/log/level-store.ts']);
  });

  it('services/ stands on client/, never on node/', () => {
    const wrong = imports.filter(({ file }) => file.startsWith('services/'));
    expect(wrong.filter(({ target }) => /^(node|cli|bench)\//.test(target))).toEqual([]);
  });

  it('the core of the log knows no I/O: it is injected', () => {
    const core = (f: string) =>
      f.startsWith('services/log/') && !LOG_SHELLS.some((shell) => f.startsWith(shell));
    expect(imports.filter(({ file, target }) => core(file) && isIo(target))).toEqual([]);
  });

  it('gRPC stays in the transports and proto/', () => {
    const places = ['node/transport/', 'client/transport/', 'services/log/transport/', 'proto/', 'bench/'];
    const wrong = imports.filter(
      ({ target }) => target.startsWith('@grpc/') || target === 'grpc-health-check',
    );
    expect(wrong.filter(({ file }) => !places.some((place) => file.startsWith(place)))).toEqual([]);
  });

  it('services/ stand on the SDK, never on node/', () => {
    const wrong = imports.filter(
      ({ file, target }) => file.startsWith('services/') && target.startsWith('node/'),
    );
    expect(wrong.filter(({ target }) => !isIo(target))).toEqual([]);
  });

  it('fastify stays in services/http/', () => {
    const files = imports.filter(({ target }) => target === 'fastify').map(({ file }) => file);
    expect(files.filter((file) => !file.startsWith('services/http/'))).toEqual([]);
  });

  it('no core file reads a clock, rolls dice or sets a timer of its own', () => {
    const shells = [
      'node/main.ts',
      'node/config-file.ts',
      'node/transport/',
      'client/transport/',
      'ports/real.ts',
      'client/index.ts', // composes the SDK with the real things
      'node/storage/level-engine.ts',
      'node/storage/identity-file.ts',
      ...LOG_SHELLS,
      'services/http/',
      'services/processing/run.ts',
      'services/query/main.ts',
    ];
    const core = ['counter', 'ports', 'proto', 'node', 'client', 'services'].flatMap(sources);
    const banned =
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|\bperformance\.now\(|\brandomBytes\(/;
    const wrong = core
      .filter((file) => !shells.some((shell) => file.startsWith(shell)))
      .filter((file) => banned.test(readFileSync(join(root, file), 'utf8')));
    expect(wrong).toEqual([]);
  });
});
