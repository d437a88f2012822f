import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Builds, buildMutants, editedFiles } from './mutants/build.js';
import { type Hunted, huntAll } from './mutants/hunt.js';
import { MUTANTS } from './mutants/index.js';
import { profileHunts } from './mutants/profile-hunts.js';

/** Some 60 s on two idle cores, three times that beside the other tests, and more on a machine that is shared. */
const TIMEOUT_MS = 1_200_000;

/** One run of everything, on all cores; the tests then look at one outcome each. */
describe('planted bugs', () => {
  const profiles = profileHunts(MUTANTS, 1);
  let builds: Builds | undefined;
  let outcomes: Hunted[] = [];

  beforeAll(async () => {
    builds = buildMutants(MUTANTS);
    const { original, folderOf } = builds;
    outcomes = await huntAll([
      ...profiles.map((hunt) => ({ ...hunt, folder: original })),
      ...MUTANTS.map((mutant) => ({ ...mutant, from: 1, folder: folderOf(mutant) })),
    ]);
  }, TIMEOUT_MS);

  afterAll(() => builds?.remove());

  it('each have a name of their own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  it.each(profiles)('$profile: without a bug nothing is found', (hunt) => {
    const { find } = outcomes[profiles.indexOf(hunt)]!;
    expect(find).toBeUndefined();
  });

  it.each(MUTANTS)('$name is caught within $within seeds: $bug', (mutant) => {
    const { find } = outcomes[profiles.length + MUTANTS.indexOf(mutant)]!;
    expect(find).toBeDefined();
  });

  it('must fit the source: what stands there not at all, or twice, is refused', () => {
    const edit = (find: string) => ({
      name: 'test',
      edits: [{ file: 'node/quorum/tally.ts', find, replace: '' }],
    });
    expect(() => editedFiles(edit('no such text'))).toThrow('stands 0 times');
    expect(() => editedFiles(edit('datacenter'))).toThrow(/stands \d+ times/);
    const [text] = editedFiles(edit('export class Tally')).values();
    expect(text).not.toContain('export class Tally');
  });
});
