import { SeededRandom } from '../../simulation/seeded-random.js';
import { runPlain } from './plain.js';
import { runReader } from './reader.js';
import { Recorder, type Tally } from './records.js';
import { runSdk } from './sdk.js';
import type { WorkerSetup } from './setup.js';

/** One client process of a chaos run: works until it is told to stop, tells how far it is, and ends. */

const TELL_EVERY_MS = 500;

export type WorkerMessage = { tally: Tally };

const setup = JSON.parse(process.argv[2]!) as WorkerSetup;
const recorder = new Recorder(setup.historyFile, BigInt(setup.startNs));
const stopped = new Promise<void>((resolve) => {
  process.on('message', () => resolve());
});
// Nobody is left to stop it.
process.on('disconnect', () => process.exit(1));
// Ctrl-C goes to the whole group; the run decides when its clients end.
process.on('SIGINT', () => undefined);
const tell = () => process.send!({ tally: recorder.tally } satisfies WorkerMessage);
const telling = setInterval(tell, TELL_EVERY_MS);
const run = { sdk: runSdk, plain: runPlain, reader: runReader }[setup.role];
await run({ setup, random: new SeededRandom(setup.seed), recorder, stopped });
clearInterval(telling);
recorder.close();
process.send!({ tally: recorder.tally } satisfies WorkerMessage, () => process.exit(0));
