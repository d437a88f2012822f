/** Plain unary increments through gRPC, a fixed number in flight, as one client process. */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { incrementMethod, type PlainIncrement } from '../increment-service.js';
import { serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';

const KEYS = 20_000;
const DRAWS = 100_000;
const DEADLINE_MS = 10_000;

const method = incrementMethod();
const metadata = new Metadata();
const clients = new Map<string, Client>();
const ranks = drawRanks(DRAWS, zipf(KEYS, 1, seededRandom(3)));
let nextDraw = 0;

serveWorker({ load });

/** Increments per second, over all `addresses` in turn. An error ends the run: it would make the rate a lie. */
async function load(argument: { addresses: string[]; inFlight: number; ms: number }): Promise<number> {
  const { addresses, inFlight, ms } = argument;
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
      increment(targets[started++ % targets.length]!, (error) => {
        if (error) return reject(error);
        done++;
        next();
      });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
  return (done * 1000) / (performance.now() - startMs);
}

function clientOf(address: string): Client {
  let client = clients.get(address);
  if (!client) {
    client = new Client(address, credentials.createInsecure());
    clients.set(address, client);
  }
  return client;
}

function increment(client: Client, callback: (error: Error | null) => void): void {
  const request: PlainIncrement = {
    key: `video-${ranks[nextDraw++ % DRAWS]}`,
    eventType: 'view',
    value: '1',
  };
  client.makeUnaryRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    metadata,
    { deadline: Date.now() + DEADLINE_MS },
    callback,
  );
}
