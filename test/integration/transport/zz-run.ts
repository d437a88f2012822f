import { clusterSchema } from '../../../node/config.js';
import { runNode } from '../../../node/main.js';
import { connectOperator } from '../../../client/transport/grpc.js';
import { rmSync } from 'node:fs';
rmSync('/tmp/tr', { recursive: true, force: true });
const logger = { debug() {}, info: (f: object, m: string) => console.log('I', m, f), warn: (f: object, m: string) => console.log('W', m, f), error: (f: object, m: string) => console.log('E', m, f) };
const config = clusterSchema.parse({ cluster: 'test', replication: { dc1: 3 }, nodes: [1, 2, 3].map((i) => ({ id: `n${i}`, port: 21500 + i, metricsPort: 21510 + i })) });
const nodes = await Promise.all(['n1', 'n2', 'n3'].map((nodeId) => runNode({ config, nodeId, dataFolder: `/tmp/tr/${nodeId}`, newCluster: true, logger })));
const c = connectOperator('127.0.0.1:21501');
for (let i = 0; i < 20; i++) {
  const r = await c.increment([{ key: 'k', eventType: 'v', value: 5 }], 'QUORUM', { timeoutMs: 2000 }).catch((e) => e);
  console.log(JSON.stringify(r));
  if (r[0]?.ok === null) break;
  await new Promise((d) => setTimeout(d, 300));
}
console.log(await c.get([{ key: 'k', eventType: 'v' }], 'ALL', { timeoutMs: 2000 }));
console.log(await c.stats([{ key: 'k', eventType: 'v', startMs: Date.now() - 1e7, endMs: Date.now(), granularity: 'hour' }], 'QUORUM', { timeoutMs: 2000 }).then(JSON.stringify));
const rep = await c.report({ timeoutMs: 2000 }); console.log(rep.status, rep.endpoints.length, rep.storeState, rep.ownership);
console.log((await (await fetch('http://127.0.0.1:21511/health')).text()).trim());
if (process.argv[2]) await new Promise((d) => setTimeout(d, Number(process.argv[2])));
for (const n of nodes) { const t = performance.now(); await n.stop(); console.log('stopped in', performance.now() - t); }
c.close();
