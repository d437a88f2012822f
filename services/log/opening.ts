import { TallyringError } from '../../proto/errors.js';
import { type BlockHead, checkBlock, gapError, lastOffsetOf } from './block.js';
import { blockKey, DEAD_LETTERS_END, deadLetterKey, IDENTITY_KEY, stateKey, TAIL_KEY } from './keyspace.js';
import type { LogDescription } from './log.js';
import { Partition } from './partition.js';
import { identityWrite, parseIdentity, parseState, parseTail, type Tail, tailWrite } from './records.js';
import type { LogStore } from './store.js';

const SCAN_PAGE = { limit: 1_000, fillCache: false, maxBytes: 4 * 1024 * 1024 };

/** Writes a new log's first records. Durable. */
export async function createLog(store: LogStore, description: LogDescription): Promise<void> {
  const zeros = new Array<number>(description.partitions).fill(0);
  const tail = tailWrite({ ends: zeros, checkFrom: zeros, deadLetters: 0 });
  await store.write([identityWrite(description), tail], true);
}

/** Whether a store holds nothing but what `createLog` writes: a creation that was interrupted. */
export async function isUntouched(store: LogStore): Promise<boolean> {
  const records = await store.scan(Buffer.from([0]), Buffer.from([0xff]), { ...SCAN_PAGE, limit: 3 });
  return records.every(({ key }) => key.equals(IDENTITY_KEY) || key.equals(TAIL_KEY));
}

/** What a store holds of a log. Undefined: nothing. */
export async function storedDescription(store: LogStore): Promise<LogDescription | undefined> {
  const [value] = await store.getMany([IDENTITY_KEY]);
  return value && parseIdentity(value);
}

export interface OpenedLog {
  partitions: Partition[];
  /** Of the newest record: no later one may have an earlier time. */
  lastAppendedAtMs: number;
  deadLetters: number;
  /** What was found missing, in words. */
  losses: string[];
}

/**
 * Reads what the log needs in memory, and looks whether records are missing that were acknowledged. A partition
 * that lacks some answers nothing but DATA_LOSS; the others go on. Throws DATA_LOSS when the log as a whole is unreadable.
 */
export async function openLog(store: LogStore, description: LogDescription): Promise<OpenedLog> {
  const [value] = await store.getMany([TAIL_KEY]);
  if (value === undefined) {
    throw new TallyringError('DATA_LOSS', "the log's end record is gone: restore its folder from a backup");
  }
  const tail = parseTail(value);
  const opened: OpenedLog = { partitions: [], lastAppendedAtMs: 0, deadLetters: 0, losses: [] };
  for (let number = 0; number < description.partitions; number++) {
    const partition = new Partition(number);
    opened.partitions.push(partition);
    try {
      const newestMs = await openPartition(store, partition, tail);
      opened.lastAppendedAtMs = Math.max(opened.lastAppendedAtMs, newestMs);
    } catch (error) {
      if (!(error instanceof TallyringError) || error.code !== 'DATA_LOSS') throw error;
      partition.damage = error;
      opened.losses.push(error.message);
    }
  }
  opened.deadLetters = await countLetters(store);
  if (opened.deadLetters < tail.deadLetters) {
    const lost = tail.deadLetters - opened.deadLetters;
    opened.losses.push(
      `${lost} of ${tail.deadLetters} dead letters are lost; their records are still in the log`,
    );
  }
  return opened;
}

/** Gives the time of the newest record, 0 when there is none. */
async function openPartition(store: LogStore, partition: Partition, tail: Tail): Promise<number> {
  const { number } = partition;
  partition.end = tail.ends[number] ?? 0;
  const checkFrom = tail.checkFrom[number] ?? 0;
  partition.marks = [checkFrom];
  const [stored] = await store.getMany([stateKey(number)]);
  if (stored !== undefined) Object.assign(partition, parseState(number, stored));
  if (partition.end === 0) return 0;
  const [last] = await store.getMany([blockKey(number, partition.end - 1)]);
  if (last === undefined) throw gapError(number, await endOfRun(store, number, checkFrom));
  const head = checkBlock(last);
  partition.endPosition = head.position + last.length;
  partition.oldest = await oldestBlock(store, partition);
  const reached = await endOfRun(store, number, partition.checkFrom);
  if (reached < partition.end) throw gapError(number, reached);
  // All that LevelDB found in its log when it opened is in a table now.
  partition.marks = [partition.end];
  return head.appendedAtMs;
}

async function oldestBlock(store: LogStore, { number, start, end }: Partition) {
  const page = { ...SCAN_PAGE, limit: 1, maxBytes: 1 };
  const [record] = await store.scan(blockKey(number, start), blockKey(number, end), page);
  if (record === undefined) throw gapError(number, start);
  const { position, appendedAtMs, ...head } = checkBlock(record.value);
  if (head.firstOffset > start) throw gapError(number, start);
  return { position, appendedAtMs, lastOffset: lastOffsetOf({ position, appendedAtMs, ...head }) };
}

/** Follows the blocks from the one that holds `from`, and gives the offset from which on one is missing. */
async function endOfRun(store: LogStore, number: number, from: number): Promise<number> {
  let next = from;
  for (;;) {
    const page = await store.scan(blockKey(number, next), blockKey(number + 1, 0), SCAN_PAGE);
    if (page.length === 0) return next;
    for (const { value } of page) {
      const head: BlockHead = checkBlock(value);
      if (head.firstOffset > next) return next;
      next = lastOffsetOf(head) + 1;
    }
  }
}

async function countLetters(store: LogStore): Promise<number> {
  let count = 0;
  let from = deadLetterKey(0, 0);
  for (;;) {
    const page = await store.scan(from, DEAD_LETTERS_END, SCAN_PAGE);
    if (page.length === 0) return count;
    count += page.length;
    from = Buffer.concat([page.at(-1)!.key, Buffer.alloc(1)]);
  }
}
