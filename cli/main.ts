import { run } from './program.js';
import { realEnvironment } from './real-environment.js';

const environment = realEnvironment();
const code = await run(process.argv.slice(2), environment);
// What is still open (a timer, a connection that is closing) is not worth waiting for.
await environment.stdout.write('');
await environment.stderr.write('');
process.exit(code);
