import { type BenchContext, WARMUP_MS } from './benchmark.js';
import { type Figure, judged } from './figures.js';
import { startWorker } from './worker.js';

const IN_FLIGHT = 256;
const MEASURED_MS = 3_000;

/**
 * How fast the machine is at what everything here is made of: machines differ by a factor of three, and one and the
 * same by half within an hour, so a figure in time says little without.
 */
export async function bareEcho(context: BenchContext): Promise<Figure> {
  const server = startWorker(context.processes, 'echo-server', context.progress);
  const load = startWorker(context.processes, 'unary-load', context.progress);
  try {
    context.progress('measuring a bare grpc-js echo');
    const addresses = [await server.call<string>('listen')];
    const measure = (ms: number) =>
      load.call<number>('load', { addresses, inFlight: IN_FLIGHT, ms, stores: false });
    await measure(WARMUP_MS);
    const value = await measure(MEASURED_MS);
    const detail = `how fast the machine is; ${IN_FLIGHT} in flight, a client and a server process`;
    return judged({ name: 'bare grpc-js echo, just before', value, unit: 'calls/s', detail });
  } finally {
    load.stop();
    server.stop();
  }
}
