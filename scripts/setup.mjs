// Everything that a command of package.json needs before it runs: dependencies installed, sources built.
// Quick when nothing changed: it compares one hash of the inputs with the stamp of the last build.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
// `all`: tests and benchmarks are built as well. A user's start must not depend on them.
const all = process.argv[2] === 'all';
const product = [
  'ports',
  'counter',
  'proto',
  'node',
  'client',
  'services',
  'cli',
  'scripts',
  'tsconfig.json',
];
const sources = all ? [...product, 'test', 'bench'] : product;

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`tallyring needs Node >= 20.19; this is ${process.versions.node}`);
  process.exit(1);
}

function run(command, args, what) {
  console.error(`[setup] ${what} …`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`[setup] ${what} failed${error ? `: ${error.message}` : ''}`);
  process.exit(status ?? 1);
}

// Two commands may be started at once on a fresh clone: the second waits until the first has built.
const lockFile = join(root, '.setup-lock');

function holderIsAlive() {
  try {
    process.kill(Number(readFileSync(lockFile, 'utf8')), 0);
    return true;
  } catch {
    return false; // gone, or the lock is
  }
}

function takeLock() {
  for (;;) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (holderIsAlive()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    else rmSync(lockFile, { force: true });
  }
}

const releaseLock = () => rmSync(lockFile, { force: true });
takeLock();
process.once('exit', releaseLock);

const lock = readFileSync(join(root, 'package-lock.json'));
const lockHash = createHash('sha256').update(lock).digest('hex');
const lockStamp = join(root, 'node_modules', '.tallyring-lock');
if (!existsSync(lockStamp) || readFileSync(lockStamp, 'utf8') !== lockHash) {
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'installing dependencies');
  writeFileSync(lockStamp, lockHash);
}

function addTree(hash, path) {
  if (!existsSync(path)) return;
  const stat = statSync(path);
  if (stat.isDirectory()) {
    for (const name of readdirSync(path).sort()) {
      if (name !== 'data' && name !== 'node_modules') addTree(hash, join(path, name));
    }
  } else {
    hash.update(`${path.slice(root.length)}\0`).update(readFileSync(path));
  }
}
const hash = createHash('sha256').update(lockHash);
for (const source of sources) addTree(hash, join(root, source));
const sourceHash = hash.digest('hex');
const buildStamp = join(root, 'dist', all ? '.build-stamp-all' : '.build-stamp');
if (!existsSync(buildStamp) || readFileSync(buildStamp, 'utf8') !== sourceHash) {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const build = join(root, 'scripts', 'build.mjs');
  run(process.execPath, all ? [build, 'all'] : [build], 'building');
  writeFileSync(buildStamp, sourceHash);
}

// The command that follows in this process must not hold the lock.
releaseLock();
process.off('exit', releaseLock);
