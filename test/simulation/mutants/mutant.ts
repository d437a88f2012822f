import type { ProfileName } from '../profiles.js';

/** One place of the source that a mutant changes. `find` must occur exactly once in the file. */
export interface Edit {
  file: string;
  find: string;
  replace: string;
}

/** A bug that somebody could have written: the product's own source with a few words changed. */
export interface Mutant {
  name: string;
  /** What it does wrong, in one sentence. */
  bug: string;
  edits: readonly Edit[];
  /** What its seeds look at (profiles.ts). */
  profile: ProfileName;
  /** Seeds within which a checker must find it: three times the worst of several ranges, at least 5. */
  within: number;
  /** Only a find of these checks counts (default: of any). */
  by?: readonly string[];
}
