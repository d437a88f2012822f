import { TallyringClient } from '../../../client/client.js';
import type { ClientOptions } from '../../../client/options.js';
import type { Int64Mode } from '../../../client/results.js';
import { silentLogger } from '../../../ports/logger.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';
import { FakeCluster } from './fake-cluster.js';

/** A fake cluster with its virtual time. */
export function fakeCluster(seed: number | string = 1) {
  const random = new SeededRandom(seed);
  const time = new VirtualTime(random.fork('time'));
  const cluster = new FakeCluster(time, random.fork('cluster'));
  const clock = time.clock();
  const busy: boolean[] = [];
  const open = <M extends Int64Mode = 'number'>(options: Partial<ClientOptions<M>> = {}) =>
    time.settle(
      TallyringClient.open<M>(
        { contactPoints: cluster.nodes.map((node) => node.address), ...options },
        {
          transport: cluster,
          clock,
          timers: time,
          random: random.fork('client'),
          logger: silentLogger,
          keepAlive: (isBusy) => void busy.push(isBusy),
        },
      ),
    );
  return { time, clock, cluster, random, open, busy };
}

/** The error that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('did not reject');
}
