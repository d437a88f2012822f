// Four processes count the same keys; the sum is exact. Start a cluster first: npm start
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { connect } from '../dist/client/index.js';

const PROCESSES = 4;
const EVENTS_EACH = 50_000;
const client = await connect({ contactPoints: ['127.0.0.1:7101'], int64: 'bigint' });
if (process.argv[2] === 'worker') {
  for (let i = 0; i < EVENTS_EACH; i++) client.count(`page-${i % 10}`, 'visit');
  await client.close();
} else {
  const queries = Array.from({ length: 10 }, (_, i) => ({ key: `page-${i}`, eventType: 'visit' }));
  const total = async () => {
    let sum = 0n;
    for (const { value, error } of await client.getMany(queries)) {
      if (error) throw error;
      sum += value.sum;
    }
    return sum;
  };
  const before = await total();
  const self = fileURLToPath(import.meta.url);
  const workers = Array.from({ length: PROCESSES }, () => fork(self, ['worker']));
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  console.log(`counted ${PROCESSES * EVENTS_EACH}, the cluster gained ${(await total()) - before}`);
  await client.close();
}
