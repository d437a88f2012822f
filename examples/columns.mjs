// Descriptive facts of a key, beside its counters: the last writer wins. Start a cluster first: npm start
import { connect } from '../dist/client/index.js';

const client = await connect({ contactPoints: ['127.0.0.1:7101'] });
try {
  // Resolves when two of three replicas have them on disk; after an error it may simply be called again.
  await client.setColumns('video-1', { title: 'Cats, the first ten hours', channel: 'cats', draft: 'yes' });
  await client.setColumns('video-1', { title: 'Cats', draft: null }); // null deletes one

  const keys = ['video-1', 'video-2'];
  for (const [i, { value, error }] of (await client.getColumns(keys)).entries()) {
    if (error) console.log(keys[i], error.message);
    else for (const [name, { value: text, at }] of value) console.log(keys[i], name, text, at.toISOString());
  }
} finally {
  await client.close();
}
