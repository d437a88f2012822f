import { coreConformance } from './core-conformance.js';
import { memoryHarness } from './harness.js';
import { logConformance } from './log-conformance.js';

logConformance('memory', memoryHarness);
coreConformance('memory', memoryHarness);
