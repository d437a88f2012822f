import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What happens to the bytes of one direction. hold: they wait, as TCP makes them wait for a cut that ends.
 * swallow: they are gone, and so is the connection when the cut ends.
 */
export type Flow = 'open' | 'hold' | 'swallow';

export interface DirectionState {
  flow: Flow;
  delayMs: number;
}

const MAX_QUEUED_BYTES = 1024 * 1024;

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #state: DirectionState;
  readonly #queue: { dueMs: number; chunk: Buffer }[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #spoiled = false;

  constructor(from: Socket, to: Socket, state: DirectionState) {
    this.#from = from;
    this.#to = to;
    this.#state = state;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    to.on('drain', () => this.applied());
    from.on('close', () => clearTimeout(this.#timer));
    if (state.flow === 'hold') from.pause();
  }

  /** The state has changed. */
  applied(): void {
    const { flow } = this.#state;
    if (this.#spoiled && flow !== 'swallow') {
      this.#from.resetAndDestroy();
      this.#to.resetAndDestroy();
      return;
    }
    if (flow !== 'open') clearTimeout(this.#timer);
    if (flow === 'hold') this.#from.pause();
    else this.#from.resume();
    if (flow === 'open') this.#pump();
  }

  #take(chunk: Buffer): void {
    if (this.#state.flow === 'swallow') {
      this.#spoiled = true;
      return;
    }
    this.#queue.push({ dueMs: performance.now() + this.#state.delayMs, chunk });
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > MAX_QUEUED_BYTES) this.#from.pause();
    if (this.#state.flow === 'open') this.#pump();
  }

  /** Passes on what is due, in order, as fast as it is taken. */
  #pump(): void {
    clearTimeout(this.#timer);
    let first = this.#queue[0];
    while (first !== undefined && !this.#to.writableNeedDrain) {
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), waitMs);
        return;
      }
      this.#to.write(first.chunk);
      this.#queuedBytes -= first.chunk.length;
      this.#queue.shift();
      first = this.#queue[0];
    }
    if (this.#queuedBytes <= MAX_QUEUED_BYTES && this.#state.flow === 'open') this.#from.resume();
  }
}

/** Stands between one node and another: the way by which the first opens connections to the second. */
export class LinkProxy {
  readonly port: number;
  /** From the opener to the other, and back. */
  readonly forth: DirectionState = { flow: 'open', delayMs: 0 };
  readonly back: DirectionState = { flow: 'open', delayMs: 0 };
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #pipes = new Set<Pipe>();
  #server: Server | undefined;

  constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
  }

  listen(): Promise<void> {
    if (this.#server !== undefined) return Promise.resolve();
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', () => resolve());
    });
  }

  /** Resets every connection and refuses new ones until `listen`. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** After a change of `forth` or `back`. */
  applied(): void {
    for (const pipe of this.#pipes) pipe.applied();
  }

  #accept(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pipes = [new Pipe(near, far, this.forth), new Pipe(far, near, this.back)];
    for (const pipe of pipes) this.#pipes.add(pipe);
    const end = () => {
      for (const pipe of pipes) this.#pipes.delete(pipe);
      for (const socket of [near, far]) {
        this.#sockets.delete(socket);
        if (!socket.destroyed) socket.resetAndDestroy();
      }
    };
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      // Nobody here half-closes: the end of one side is the end of the connection.
      socket.on('end', end);
      socket.on('close', end);
    }
  }
}
