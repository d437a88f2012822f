/** Plain unary increments through gRPC, a fixed number in flight, as one client process. */
import { Client, credentials, Metadata, type MethodDefinition } from '@grpc/grpc-js';
import { counterMethods, type PlainIncrement, type PlainValue } from '../counter-service.js';
import { serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';

const KEYS = 20_000;
const DRAWS = 100_000;
const DEADLINE_MS = 10_000;
const EVENT_TYPE = 'view';
/** Hottest keys read back by `check`. */
const CHECKED_KEYS = 10;

const methods = counterMethods();
const metadata = new Metadata();
const clients = new Map<string, Client>();
const ranks = drawRanks(DRAWS, zipf(KEYS, 1, seededRandom(3)));
/** Acknowledged increments of each key, those of the echo left out. */
const counted = new Float64Array(KEYS);
let nextDraw = 0;

serveWorker({ load, check });

interface LoadArgument {
  addresses: string[];
  inFlight: number;
  ms: number;
  /** Whether these addresses are the cluster, so that `check` finds the increments there. */
  stores: boolean;
}

/** Increments per second, over all `addresses` in turn. An error ends the run: it would make the rate a lie. */
async function load({ addresses, inFlight, ms, stores }: LoadArgument): Promise<number> {
  const targets = addresses.map(clientOf);
  const startMs = performance.now();
  let started = 0;
  let done = 0;
  await new Promise<void>((resolve, reject) => {
    let running = inFlight;
    const next = () => {
      if (performance.now() - startMs >= ms) {
        if (--running === 0) resolve();
        return;
      }
      const rank = ranks[nextDraw++ % DRAWS]!;
      increment(targets[started++ % targets.length]!, rank, (error) => {
        if (error) return reject(error);
        done++;
        if (stores) counted[rank]!++;
        next();
      });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
  return (done * 1000) / (performance.now() - startMs);
}

/** Whether the cluster holds what it acknowledged. */
async function check({ address }: { address: string }): Promise<void> {
  for (let rank = 0; rank < CHECKED_KEYS; rank++) {
    const reply = await new Promise<PlainValue | undefined>((resolve, reject) => {
      call(clientOf(address), methods.Get, { key: keyOf(rank), eventType: EVENT_TYPE }, (error, value) =>
        error ? reject(error) : resolve(value),
      );
    });
    const count = Number(reply?.value?.count ?? 0);
    if (count !== counted[rank]) {
      throw new Error(`${keyOf(rank)}: ${counted[rank]} increments were acknowledged but it reads ${count}`);
    }
  }
}

function keyOf(rank: number): string {
  return `video-${rank}`;
}

function clientOf(address: string): Client {
  let client = clients.get(address);
  if (!client) {
    client = new Client(address, credentials.createInsecure());
    clients.set(address, client);
  }
  return client;
}

function increment(client: Client, rank: number, callback: (error: Error | null) => void): void {
  const request: PlainIncrement = { key: keyOf(rank), eventType: EVENT_TYPE, value: '1' };
  call(client, methods.Increment, request, callback);
}

function call<Request, Reply>(
  client: Client,
  method: MethodDefinition<Request, Reply>,
  request: Request,
  callback: (error: Error | null, reply?: Reply) => void,
): void {
  const { path, requestSerialize, responseDeserialize } = method;
  const options = { deadline: Date.now() + DEADLINE_MS };
  client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, callback);
}
