import type { ServerDuplexStream } from '@grpc/grpc-js';

/** Open streams of a server, each as a function that ends it once what is in work is answered. */
export type OpenStreams = Set<() => void>;

export interface ServedStreamOptions<Request, Reply> {
  streams: OpenStreams;
  /** Reading pauses while requests in work and replies not yet sent have more bytes than this. */
  limitBytes: number;
  requestBytes(request: Request): number;
  replyBytes(reply: Reply): number;
  /** Must not reject. `undefined`: nothing is sent. */
  answer(request: Request): Promise<Reply | undefined>;
}

/**
 * Answers the numbered requests of a stream as their answers come, in any order. A peer that asks faster
 * than it reads is held back by its own flow control, not by this node's memory.
 */
export function serveStream<Request, Reply>(
  call: ServerDuplexStream<Request, Reply>,
  options: ServedStreamOptions<Request, Reply>,
): void {
  let bytes = 0;
  let inWork = 0;
  let paused = false;
  let asked = false;
  let open = true;

  const occupy = (more: number) => {
    bytes += more;
    if (paused || bytes <= options.limitBytes) return;
    paused = true;
    call.pause();
  };
  const free = (less: number) => {
    bytes -= less;
    if (!paused || bytes > options.limitBytes / 2) return;
    paused = false;
    call.resume();
  };
  const finish = () => {
    if (!open || !asked || inWork > 0) return;
    open = false;
    call.end();
  };

  call.on('data', (request: Request) => {
    const size = options.requestBytes(request);
    inWork++;
    occupy(size);
    void options.answer(request).then((reply) => {
      inWork--;
      free(size);
      if (reply !== undefined && open && !call.writableEnded && !call.destroyed) {
        const replySize = options.replyBytes(reply);
        occupy(replySize);
        call.write(reply, () => free(replySize));
      }
      finish();
    });
  });
  const finishSoon = () => {
    asked = true;
    finish();
  };
  const stop = () => {
    open = false;
    options.streams.delete(finishSoon);
  };
  options.streams.add(finishSoon);
  call.on('end', finishSoon);
  call.on('cancelled', stop);
  call.on('close', stop);
  call.on('error', stop);
}
