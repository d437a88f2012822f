// A processing service for a source of your own: an append-only file of JSON lines such as
// {"video":"cats.mp4","what":"view"}, counted exactly once, however often this process is killed and started.
// Start it twice: one counts, the other takes over when the first one dies.
//   node examples/count-a-log.mjs clicks.jsonl
import { open } from 'node:fs/promises';
import { connect, countEach, countLog } from 'tallyring';

const path = process.argv[2] ?? 'clicks.jsonl';
const file = await open(path, 'a+');

/** Whole lines from a byte on; a line's offset is where it begins, so it is the same for every reader. */
async function linesFrom(from) {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(256 * 1024), 0, 256 * 1024, from);
  const whole = buffer.subarray(0, buffer.subarray(0, bytesRead).lastIndexOf(10) + 1);
  const records = [];
  let offset = from;
  for (const line of whole.toString().split('\n').slice(0, -1)) {
    records.push({ offset, record: line });
    offset += Buffer.byteLength(line) + 1;
  }
  return { records, next: offset, end: (await file.stat()).size };
}

const source = {
  logId: `${path} ${(await file.stat()).ino}`, // another file of this name is another log
  bounds: async () => ({ start: 0, end: (await file.stat()).size }),
  async read(from, { waitMs }) {
    for (const until = Date.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const page = await linesFrom(from);
      if (page.records.length > 0 || Date.now() >= until) return page;
    }
  },
};

// Decides by the line alone: whoever takes over decides the same. Raise the version when you change it.
const rule = countEach(1, (line) => {
  try {
    const { video, what = 'view', at = 0 } = JSON.parse(line);
    return { key: video, eventType: what, timestampMs: at };
  } catch {
    return undefined; // not one of ours: it counts nowhere
  }
});

const client = await connect({ contactPoints: ['127.0.0.1:7101'] });
const counter = countLog(client, {
  checkpoint: `lines of ${path}`,
  name: `pid ${process.pid}`,
  source,
  rule,
});
const told = setInterval(() => {
  const { state, committed, error } = counter.status();
  console.log(state, committed === undefined ? '' : `counted up to byte ${committed}`, error?.message ?? '');
}, 1_000);
process.once('SIGINT', async () => {
  clearInterval(told);
  await counter.stop();
  await client.close();
});
