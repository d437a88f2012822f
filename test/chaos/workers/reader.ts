import { grpcTransport } from '../../../client/transport/grpc.js';
import type { NodeConnection } from '../../../client/transport.js';
import { asTallyringError } from '../../../proto/errors.js';
import type { AttemptedRead } from './records.js';
import { CALL_TIMEOUT_MS, paced, randomRead, type WorkerParts } from './setup.js';

/** Reads at random nodes, now and then the same cell again at once, at another node. */
export async function runReader(parts: WorkerParts): Promise<void> {
  const { setup, random, recorder } = parts;
  const transport = grpcTransport();
  const nodes = Object.values(setup.addresses).map((address) => transport.connect(address));
  const open = new Set<Promise<void>>();
  const read = (attempted: AttemptedRead & { timestampMs: number }) => {
    const call = readOnce(random.pick(nodes), attempted, parts).finally(() => open.delete(call));
    open.add(call);
    if (!random.chance(0.3)) return;
    void call.then(() => {
      if (recorder.operations < setup.maxOperations) read({ ...attempted });
    });
  };
  await paced(parts, () => read(randomRead(setup, random)));
  while (open.size > 0) await Promise.all(open);
  for (const node of nodes) node.close();
}

async function readOnce(
  node: NodeConnection,
  attempted: AttemptedRead & { timestampMs: number },
  { recorder }: WorkerParts,
): Promise<void> {
  const { key, eventType, granularity, timestampMs, level } = attempted;
  recorder.read(attempted);
  try {
    const query = { key, eventType, granularity, timestampMs };
    const [answer] = await node.get([query], level, { timeoutMs: CALL_TIMEOUT_MS });
    if ('error' in answer!) recorder.readEnded(attempted, { error: answer.error.code });
    else recorder.readEnded(attempted, { count: Number(answer!.ok.count), sum: Number(answer!.ok.sum) });
  } catch (thrown) {
    recorder.readEnded(attempted, { error: asTallyringError(thrown).code });
  }
}
