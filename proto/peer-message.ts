import { Packr } from 'msgpackr';
import { z } from 'zod';
import { GRANULARITIES, type Granularity } from '../counter/window.js';
import { TallyringError } from './errors.js';

/**
 * What nodes say to each other. An envelope (peer.proto `PeerFrame`) carries one of these as msgpack bytes;
 * each body is checked against its schema before it is used, because protobuf and msgpack both accept what
 * is truncated or wrongly typed.
 */

/** The windows [fromWindow, toWindow) of a row. */
export interface RowQuery {
  key: string;
  eventType: string;
  granularity: Granularity;
  fromWindow: number;
  toWindow: number;
}

const bytes = z.custom<Buffer>((value) => Buffer.isBuffer(value), 'not bytes');
const count = z.number().int().nonnegative();
const epoch = count;
const registerName = z.string().min(1).max(1024);
const rowQuery = z.strictObject({
  key: z.string().min(1),
  eventType: z.string(),
  granularity: z.enum(GRANULARITIES),
  fromWindow: z.number().int(),
  toWindow: z.number().int(),
});

const requests = {
  /** Gossip's three messages; the body is gossip's own (node/gossip). ACK is the reply to SYN. */
  gossipSyn: z.strictObject({ syn: bytes }),
  gossipAck2: z.strictObject({ ack2: bytes }),
  /** Entries to merge: an encoded batch (proto/entry.ts). */
  merge: z.strictObject({ epoch, batch: bytes }),
  /** Rows to read. `one`: the level is ONE or LOCAL_ONE, which a recovering replica may answer. */
  read: z.strictObject({ epoch, one: z.boolean(), queries: z.array(rowQuery) }),
  /** The highest synced batch that the receiver remembers of the sender's store. */
  remembered: z.strictObject({ storeId: z.string() }),
  /** Hashes of the children of these hash-tree nodes, over what both nodes replicate (node/repair/hash-tree.ts). */
  treeHashes: z.strictObject({ epoch, nodes: z.array(count) }),
  /** Keys and hashes of the entries that both replicate in these leaves (a bitmap), in key order after a key. */
  leafEntries: z.strictObject({ epoch, leaves: bytes, after: bytes.optional(), limit: count }),
  /** The entries of these keys. */
  fetch: z.strictObject({ epoch, keys: z.array(bytes) }),
  /** All that the receiver holds, of one row (a key prefix): heals a damaged row. */
  row: z.strictObject({ epoch, row: bytes }),
  /** What the receiver holds of a register. */
  registerLook: z.strictObject({ epoch, name: registerName }),
  /** Asks the receiver to refuse lower epochs of a register than this. */
  registerPromise: z.strictObject({ epoch, name: registerName, registerEpoch: count }),
  /** A register's record (the value of its entry) to hold. */
  registerAccept: z.strictObject({ epoch, name: registerName, record: bytes }),
  /** A page of the registers that both replicate, in order of their names, after one. */
  registerList: z.strictObject({ epoch, after: registerName.optional(), limit: count }),
  /**
   * The sender lost its store and has this one now: the receiver notes that, and promises an epoch of each of
   * these registers, which fences every owner.
   */
  registerReenter: z.strictObject({
    epoch,
    storeId: z.string().min(1),
    storeNumber: count,
    names: z.array(registerName),
    epochs: z.array(count),
  }),
};

/** What a replica says of a register. `record`: the value of its entry. */
const registerAnswer = z.strictObject({
  agreed: z.boolean(),
  promised: count,
  storeNumber: count,
  record: bytes.optional(),
});

const replies = {
  gossipSyn: z.strictObject({ ack: bytes }),
  gossipAck2: z.strictObject({}),
  merge: z.strictObject({ storeId: z.string(), batch: count }),
  /**
   * For the first queries, as many as fit into one answer: whether the answer is whole, and how many of the
   * batch's entries are its own, in order. `tooLarge`: indexes of those that no answer can hold.
   */
  read: z.strictObject({
    whole: z.array(z.boolean()),
    counts: z.array(count),
    tooLarge: z.array(count),
    batch: bytes,
  }),
  /** `others`: further stores of the sender that the receiver has heard of. */
  remembered: z.strictObject({ batch: count, others: z.array(z.string()) }),
  treeHashes: z.strictObject({ hashes: z.array(bytes) }),
  /** `hashes`: 8 bytes per key. `more`: the page is full; ask again after its last key. `whole`: not recovering, no damaged row. */
  leafEntries: z.strictObject({ keys: z.array(bytes), hashes: bytes, more: z.boolean(), whole: z.boolean() }),
  /** `looked`: how many of the keys this answers, from the first on; the others did not fit. */
  fetch: z.strictObject({ batch: bytes, looked: count }),
  row: z.strictObject({ whole: z.boolean(), batch: bytes }),
  registerLook: registerAnswer,
  registerPromise: registerAnswer,
  registerAccept: registerAnswer,
  /** `storeNumber`: the newest store of the sender that the receiver knows. */
  registerList: z.strictObject({
    names: z.array(registerName),
    promised: z.array(count),
    storeNumber: count,
    more: z.boolean(),
  }),
  /** `takenNumber`: another store of the sender has this number or a greater one: nothing was done. */
  registerReenter: z.strictObject({ takenNumber: count.optional(), answers: z.array(registerAnswer) }),
};

export type PeerKind = keyof typeof requests;
export const PEER_KINDS = Object.keys(requests) as PeerKind[];

export type RequestBody<K extends PeerKind> = z.infer<(typeof requests)[K]>;
export type ReplyBody<K extends PeerKind> = z.infer<(typeof replies)[K]>;
/** A request as one value, for handlers that switch on `kind`. */
export type PeerRequest = { [K in PeerKind]: { kind: K; body: RequestBody<K> } }[PeerKind];

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

export function encodeBody(body: object): Buffer {
  return packr.pack(body);
}

function decode<T>(what: string, schema: z.ZodType<T>, payload: Uint8Array): T {
  let value: unknown;
  try {
    value = packr.unpack(payload);
  } catch (cause) {
    throw new TallyringError('INVALID_ARGUMENT', `${what} does not decode: ${(cause as Error).message}`);
  }
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new TallyringError(
    'INVALID_ARGUMENT',
    `${what} is malformed: ${issue?.path.join('.')}: ${issue?.message}`,
  );
}

export function isPeerKind(text: string): text is PeerKind {
  return Object.hasOwn(requests, text);
}

/** Throws INVALID_ARGUMENT for what is not a well-formed request of a known kind. */
export function decodeRequest(kind: string, payload: Uint8Array): PeerRequest {
  if (!isPeerKind(kind)) throw new TallyringError('INVALID_ARGUMENT', `unknown peer request ${kind}`);
  return { kind, body: decode(kind, requests[kind] as z.ZodType, payload) } as PeerRequest;
}

export function decodeReply<K extends PeerKind>(kind: K, payload: Uint8Array): ReplyBody<K> {
  return decode(`reply to ${kind}`, replies[kind] as unknown as z.ZodType<ReplyBody<K>>, payload);
}
