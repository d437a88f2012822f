// Counts one event and reads it back. Start a cluster first: npm start
import { connect } from '../dist/client/index.js';

const client = await connect({ contactPoints: ['127.0.0.1:7101'] });
try {
  // Resolves when two of three replicas have it on disk (QUORUM, the default).
  await client.increment('video-1', 'view');
  await client.increment('video-1', 'watch_ms', { by: 12_500 });

  console.log('views', await client.get('video-1', 'view'));
  console.log('watched', await client.get('video-1', 'watch_ms'));
  const timestamp = Date.now();
  console.log('this hour', await client.get('video-1', 'view', { granularity: 'hour', timestamp }));

  const queries = ['video-1', 'video-2'].map((key) => ({ key, eventType: 'view' }));
  for (const [i, { value, error }] of (await client.getMany(queries)).entries()) {
    console.log(queries[i].key, error ? error.message : value.sum);
  }
} finally {
  await client.close();
}
