import { grpcTransport } from '../../../client/transport/grpc.js';
import { asTallyringError } from '../../../proto/errors.js';
import { CALL_TIMEOUT_MS, paced, randomIncrement, type WorkerParts } from './setup.js';

/** A caller of the plain RPC at random nodes: what times out is in doubt, and never tried again. */
export async function runPlain(parts: WorkerParts): Promise<void> {
  const { setup, random, recorder } = parts;
  const transport = grpcTransport();
  const nodes = Object.values(setup.addresses).map((address) => transport.connect(address));
  const open = new Set<Promise<void>>();
  await paced(parts, () => {
    const attempted = randomIncrement(setup, random);
    const { key, eventType, value, timestampMs, level } = attempted;
    const id = recorder.increment(attempted);
    const failed = ({
      code,
      mayHaveApplied,
    }: Pick<ReturnType<typeof asTallyringError>, 'code' | 'mayHaveApplied'>) =>
      recorder.incrementEnded(id, mayHaveApplied ? 'in doubt' : 'not applied', code);
    const call = random
      .pick(nodes)
      .increment([{ key, eventType, value, timestampMs }], level, { timeoutMs: CALL_TIMEOUT_MS })
      .then(
        ([answer]) => {
          if ('error' in answer!) failed(answer.error);
          else recorder.incrementEnded(id, 'acknowledged');
        },
        (thrown: unknown) => failed(asTallyringError(thrown)),
      )
      .finally(() => open.delete(call));
    open.add(call);
  });
  await Promise.all(open);
  for (const node of nodes) node.close();
}
