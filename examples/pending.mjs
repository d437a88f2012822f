// A wait that ends before the acknowledgement: the increment is still counted, exactly once.
// Start a cluster first (npm start), then stop two nodes meanwhile: ./bin/tallyring cluster kill n2
import { connect, PendingError } from '../dist/client/index.js';

const client = await connect({ contactPoints: ['127.0.0.1:7101', '127.0.0.1:7102'] });
client.on('nodeDown', ({ nodeId }) => console.log(`${nodeId} is down`));
client.on('nodeUp', ({ nodeId }) => console.log(`${nodeId} is up`));
for (let i = 0; i < 30; i++) {
  try {
    await client.increment('video-1', 'like', { timeoutMs: 500 });
    console.log('acknowledged');
  } catch (error) {
    // Anything else was refused at once and is not counted.
    if (!(error instanceof PendingError)) throw error;
    console.log(`pending: ${error.cause?.message ?? error.message}`);
    // Never call increment() again for the same event. Wait on, or go on and let close() tell.
    error.settled.then(() => console.log('acknowledged late'));
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
}
await client.close({ timeoutMs: 30_000 }); // throws UnacknowledgedError, naming what is in doubt
