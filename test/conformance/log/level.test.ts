import { coreConformance } from './core-conformance.js';
import { levelHarness } from './harness.js';
import { logConformance } from './log-conformance.js';

logConformance('LevelDB', levelHarness);
coreConformance('LevelDB', levelHarness);
