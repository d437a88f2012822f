// What a counter gained in the last 24 hours, in all and hour by hour. Start a cluster first: npm start
import { connect } from '../dist/client/index.js';

const HOUR_MS = 3_600_000;
const client = await connect({ contactPoints: ['127.0.0.1:7101'] });
try {
  for (let hour = 0; hour < 24; hour += 3) {
    const timestamp = Date.now() - hour * HOUR_MS; // the time of the event decides where it counts
    client.count('video-1', 'watch_ms', 1_000 * (hour + 1), timestamp);
  }
  await client.flush();

  const day = await client.stats('video-1', 'watch_ms', {
    start: Date.now() - 24 * HOUR_MS,
    end: Date.now(),
    granularity: 'hour',
    functions: ['count', 'sum', 'average'],
    fill: true, // empty hours too
  });
  console.log(`${day.start.toISOString()} to ${day.end.toISOString()} (widened to whole hours)`);
  console.log(`${day.count} events, ${day.sum} ms, ${day.average} ms each`);
  for (const { start, count, sum } of day.series) console.log(start.toISOString(), count, sum);
} finally {
  await client.close();
}
