import type { Mutant } from './mutant.js';
import { PIPELINE } from './pipeline.js';
import { PRODUCERS } from './producers.js';
import { QUORUM } from './quorum.js';
import { REGISTERS } from './registers.js';
import { REPAIR } from './repair.js';
import { STORAGE } from './storage.js';

/** Bugs that the checkers must find: each shows that a green run means something. */
export const MUTANTS: readonly Mutant[] = [
  ...PRODUCERS,
  ...STORAGE,
  ...QUORUM,
  ...REPAIR,
  ...REGISTERS,
  ...PIPELINE,
];
