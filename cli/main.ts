import { run } from './program.js';
import { realEnvironment } from './real-environment.js';

const environment = realEnvironment();
// Timers and idle connections let a process end; a verb that waits must not.
const hold = setInterval(() => {}, 3_600_000);
const code = await run(process.argv.slice(2), environment);
clearInterval(hold);
// What is still open (a timer, a connection that is closing) is not worth waiting for.
await environment.stdout.write('');
await environment.stderr.write('');
process.exit(code);
