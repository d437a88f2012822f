import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Mutant } from './mutant.js';

/** What the simulation is made of. */
const SOURCES = ['ports', 'counter', 'proto', 'node', 'client', 'services', 'test/simulation'];
const ORIGINAL = 'original';

const root = rootOf(dirname(fileURLToPath(import.meta.url)));

/** Compiled simulations, each in a folder of its own: the original, and one per mutant. */
export interface Builds {
  original: string;
  folderOf(mutant: Mutant): string;
  remove(): void;
}

/**
 * Compiles the simulation from the sources as they are, and once more with the edits of each mutant. It lies
 * under .tallyring/mutants, where imports find the project's node_modules. Throws when an edit does not fit
 * its source any more.
 */
export function buildMutants(mutants: readonly Mutant[]): Builds {
  const folder = join(root, '.tallyring', 'mutants', String(process.pid));
  const edited = join(folder, 'edited');
  const compiled = join(folder, 'compiled');
  rmSync(folder, { recursive: true, force: true });
  try {
    for (const mutant of mutants) {
      for (const [file, text] of editedFiles(mutant)) writeAt(join(edited, mutant.name, file), text);
    }
    compile(folder, { rootDir: root, outDir: join(compiled, ORIGINAL), include: SOURCES.map(inRoot) });
    if (mutants.length > 0) {
      // Each file by itself: what it imports lies elsewhere.
      compile(folder, {
        rootDir: edited,
        outDir: join(folder, 'overlay'),
        include: [edited],
        noResolve: true,
      });
    }
    for (const { name } of mutants) {
      cpSync(join(compiled, ORIGINAL), join(compiled, name), { recursive: true });
      cpSync(join(folder, 'overlay', name), join(compiled, name), { recursive: true });
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    original: join(compiled, ORIGINAL),
    folderOf: ({ name }) => join(compiled, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The changed sources by file. Throws where `find` does not stand exactly once. */
export function editedFiles({ name, edits }: Pick<Mutant, 'name' | 'edits'>): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const text = texts.get(file) ?? readFileSync(inRoot(file), 'utf8');
    const parts = text.split(find);
    if (parts.length !== 2) {
      throw new Error(
        `mutant ${name}: its text stands ${parts.length - 1} times in ${file}, not once: ${find}`,
      );
    }
    texts.set(file, parts.join(replace));
  }
  return texts;
}

interface CompileOptions {
  rootDir: string;
  outDir: string;
  include: string[];
  noResolve?: boolean;
}

/** Types are not checked: mutants may well break them. */
function compile(folder: string, { include, ...options }: CompileOptions): void {
  const project = join(folder, 'tsconfig.json');
  const compilerOptions = {
    ...options,
    noCheck: true,
    declaration: false,
    sourceMap: false,
    incremental: false,
    typeRoots: [inRoot('node_modules/@types')],
  };
  writeAt(
    project,
    JSON.stringify({ extends: inRoot('tsconfig.json'), compilerOptions, include, exclude: [] }),
  );
  const tsc = inRoot('node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the mutants do not compile:\n${stdout}`);
}

function writeAt(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

function inRoot(path: string): string {
  return join(root, path);
}

/** The folder of package.json: these files run from the sources and compiled from dist/. */
function rootOf(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootOf(dirname(folder));
}
