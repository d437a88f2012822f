// Counts a million events without a promise for each of them. Start a cluster first: npm start
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect } from '../dist/client/index.js';

const EVENTS = 1_000_000;
const client = await connect({ contactPoints: ['127.0.0.1:7101'] });
const startedMs = performance.now();
for (let i = 0; i < EVENTS; i++) {
  const key = `video-${Math.floor(10_000 * Math.random() ** 4)}`; // few are hot
  try {
    client.count(key, 'view');
  } catch (error) {
    if (error.code !== 'OVERLOADED') throw error;
    await client.drained(); // memory is full of what is not acknowledged: hold back, then again
    i--;
  }
  if (i % 10_000 === 0) await nextTurn(); // a loop like this must let the client write
}
await client.close(); // resolves when all of it is acknowledged
const seconds = (performance.now() - startedMs) / 1000;
console.log(`${EVENTS} events in ${seconds.toFixed(1)} s: ${Math.round(EVENTS / seconds)} a second`);
