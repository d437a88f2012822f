// A quorum register: one owner at a time, whichever nodes die and however long an owner stalls.
// Start a cluster first (npm start), then run this twice beside itself: the second takes over, the first is fenced.
import { connect } from '../dist/client/index.js';

const client = await connect({ contactPoints: ['127.0.0.1:7101', '127.0.0.1:7102'] });
const register = client.register('job-progress');
const owner = await register.acquire(); // fences whoever owned it
let done = Number(owner.value ?? 0);
console.log(`owner ${owner.epoch} goes on at ${done}`);
try {
  for (;;) {
    // Write first what you are about to do: only the owner gets through.
    await owner.write(Buffer.from(String(++done)));
    console.log(`owner ${owner.epoch}: ${done}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
} catch (error) {
  if (error.code !== 'FENCED') throw error;
  console.log(`owner ${owner.epoch} is owner no more: ${error.message}`);
}
const now = await register.read();
console.log(`epoch ${now.epoch} owns it now, at ${now.value}`);
await client.close();
