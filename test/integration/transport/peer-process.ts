import { NodeServer } from '../../../node/transport/server.js';
import { silentLogger } from '../../../ports/logger.js';
import { realClock } from '../../../ports/real.js';
import { clusterOf, fakeCalls } from '../../unit/transport/fakes.js';

/**
 * A node of its own process, to be killed and stopped: `peer-process.ts FIRST_PORT`. It answers every peer
 * request except `merge`, and no call of a
 * client; it says on its output what arrives: "merge", "flush", "increment" or "get".
 */
const never = new Promise<never>(() => undefined);
const server = new NodeServer({
  config: clusterOf(Number(process.argv[2])),
  nodeId: 'n1',
  calls: fakeCalls({
    flush: () => {
      process.stdout.write('flush\n');
      return never;
    },
    increment: () => {
      process.stdout.write('increment\n');
      return never;
    },
    get: () => {
      process.stdout.write('get\n');
      return never;
    },
  }),
  handlePeer: async (_, { kind }) => {
    if (kind !== 'merge') return { ack: Buffer.from('here') };
    process.stdout.write('merge\n');
    return never;
  },
  clock: realClock,
  logger: silentLogger,
});
await server.bind();
process.stdout.write('ready\n');
