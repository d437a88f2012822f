/** A bare grpc-js server: answers Increment with an empty message and does nothing else. */
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js';
import { counterMethods, type PlainIncrement } from '../counter-service.js';
import { serveWorker } from '../worker.js';

serveWorker({ listen });

/** Listens on a free port of loopback; returns the address. */
async function listen(): Promise<string> {
  const server = new Server();
  const echo: handleUnaryCall<PlainIncrement, object> = (_call, callback) => callback(null, {});
  server.addService({ Increment: counterMethods().Increment }, { Increment: echo });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return `127.0.0.1:${port}`;
}
