import { realClock } from '../../../ports/real.js';
import { connectLog } from '../../../services/log/transport/client.js';
import { LogServer } from '../../../services/log/transport/server.js';
import { configOf, levelHarness } from './harness.js';
import { type LogHarness, logConformance, type TestedLog } from './log-conformance.js';

/** A log over LevelDB behind its server, seen through a client. */
async function grpcHarness(): Promise<LogHarness> {
  const inner = await levelHarness();
  const servers: LogServer[] = [];
  const clients: TestedLog[] = [];
  const cut = async () => {
    for (const client of clients.splice(0)) await client.close();
    await Promise.all(servers.splice(0).map((server) => server.close()));
  };
  return {
    ...inner,
    async open(limits) {
      const core = await inner.open(limits);
      const config = configOf(limits);
      const server = new LogServer({ core, config, clock: realClock, onCall: () => undefined });
      const port = await server.bind();
      servers.push(server);
      const client = await connectLog({ address: `127.0.0.1:${port}` });
      clients.push(client);
      return client;
    },
    async kill() {
      await inner.kill();
      await cut();
    },
    async dispose() {
      await cut();
      await inner.dispose();
    },
  };
}

logConformance('over gRPC', grpcHarness);
