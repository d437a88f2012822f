import { Packr } from 'msgpackr';
import { TallyringError } from '../../proto/errors.js';
import type { Delta, Digest, FactValue, VersionedFact } from './state.js';

/**
 * Gossip's messages as msgpack arrays:
 *
 *   message  [format, kind, [cluster, configHash, nodeId, storeId, generation], digests, deltas]
 *   digest   nodeId, generation, maxVersion                    (flat, three a digest)
 *   delta    [nodeId, generation, heartbeat, since, [name, value, version, …]]
 *
 * SYN has digests only; in ACK the digests are requests; ACK2 has deltas only.
 */
export const GOSSIP_FORMAT = 1;
const KIND = { syn: 1, ack: 2, ack2: 3 } as const;
export type MessageKind = keyof typeof KIND;

/** Endpoints that a node keeps, and that one message may name. */
export const MAX_ENDPOINTS = 1_000;
const MAX_FACTS = 64;
const MAX_TEXT = 256;

/** Who speaks. */
export interface Header {
  cluster: string;
  configHash: string;
  nodeId: string;
  /** Empty while its store is not open. */
  storeId: string;
  generation: number;
}

export interface Message {
  header: Header;
  digests: readonly Digest[];
  deltas: readonly Delta[];
}

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

export function encodeMessage(kind: MessageKind, { header, digests, deltas }: Message): Buffer {
  const flat: (string | number)[] = [];
  for (const digest of digests) flat.push(digest.nodeId, digest.generation, digest.maxVersion);
  return packr.pack([
    GOSSIP_FORMAT,
    KIND[kind],
    [header.cluster, header.configHash, header.nodeId, header.storeId, header.generation],
    flat,
    deltas.map(encodeDelta),
  ]);
}

function encodeDelta({ nodeId, generation, heartbeat, since, facts }: Delta): unknown[] {
  const flat: FactValue[] = [];
  for (const [name, fact] of facts) flat.push(name, fact.value, fact.version);
  return [nodeId, generation, heartbeat, since, flat];
}

/**
 * Decodes and checks a message of any origin. Throws INVALID_ARGUMENT for what is malformed and
 * FAILED_PRECONDITION for another format.
 */
export function decodeMessage(kind: MessageKind, payload: Uint8Array): Message {
  let decoded: unknown;
  try {
    decoded = packr.unpack(payload);
  } catch (cause) {
    throw malformed(`does not decode (${(cause as Error).message})`);
  }
  const message = list(decoded, 'message');
  if (message[0] !== GOSSIP_FORMAT) {
    if (!Number.isSafeInteger(message[0])) throw malformed('format');
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `gossip format ${String(message[0])} is not ${GOSSIP_FORMAT}: run one version of tallyring on all nodes`,
    );
  }
  if (message.length !== 5 || message[1] !== KIND[kind]) throw malformed(`not ${kind}`);
  return {
    header: decodeHeader(message[2]),
    digests: decodeDigests(message[3]),
    deltas: decodeDeltas(message[4]),
  };
}

function decodeHeader(value: unknown): Header {
  const [cluster, configHash, nodeId, storeId, generation, ...rest] = list(value, 'header');
  if (rest.length > 0) throw malformed('header');
  return {
    cluster: text(cluster, 'cluster'),
    configHash: text(configHash, 'configHash'),
    nodeId: name(nodeId, 'nodeId'),
    storeId: text(storeId, 'storeId'),
    generation: number(generation, 'generation'),
  };
}

function decodeDigests(value: unknown): Digest[] {
  const flat = list(value, 'digests');
  if (flat.length % 3 !== 0 || flat.length > 3 * MAX_ENDPOINTS) throw malformed('digests');
  const digests: Digest[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    digests.push({
      nodeId: name(flat[i], 'nodeId'),
      generation: number(flat[i + 1], 'generation'),
      maxVersion: number(flat[i + 2], 'maxVersion'),
    });
  }
  return digests;
}

function decodeDeltas(value: unknown): Delta[] {
  const deltas = list(value, 'deltas');
  if (deltas.length > MAX_ENDPOINTS) throw malformed('deltas');
  return deltas.map((item) => {
    const delta = list(item, 'delta');
    if (delta.length !== 5) throw malformed('delta');
    return {
      nodeId: name(delta[0], 'nodeId'),
      generation: number(delta[1], 'generation'),
      heartbeat: number(delta[2], 'heartbeat'),
      since: number(delta[3], 'since'),
      facts: decodeFacts(delta[4]),
    };
  });
}

function decodeFacts(value: unknown): Map<string, VersionedFact> {
  const flat = list(value, 'facts');
  if (flat.length % 3 !== 0 || flat.length > 3 * MAX_FACTS) throw malformed('facts');
  const facts = new Map<string, VersionedFact>();
  for (let i = 0; i < flat.length; i += 3) {
    const factName = name(flat[i], 'fact name');
    facts.set(factName, {
      value: factValue(factName, flat[i + 1]),
      version: number(flat[i + 2], 'fact version'),
    });
  }
  return facts;
}

const STATUSES = ['joining', 'normal', 'leaving', 'left', 'recovering', 'shutdown'];
const STORE_STATES = ['ok', 'failed', 'opening'];
const TEXT_FACTS = ['host', 'datacenter', 'rack', 'storeId', 'version', 'configHash'];
const COUNT_FACTS = ['port', 'ringEpoch', 'syncedBatch'];

/** Facts that are not known here are those of newer software: carried along when they are plain. */
function factValue(factName: string, value: unknown): FactValue {
  if (factName === 'status' || factName === 'storeState') {
    const allowed = factName === 'status' ? STATUSES : STORE_STATES;
    if (typeof value === 'string' && allowed.includes(value)) return value;
  } else if (TEXT_FACTS.includes(factName)) {
    return text(value, factName);
  } else if (COUNT_FACTS.includes(factName)) {
    return number(value, factName);
  } else if (typeof value === 'number' && Number.isFinite(value)) {
    return value;
  } else if (factName !== 'wallMs' && factName !== 'load') {
    return text(value, factName);
  }
  throw malformed(factName);
}

function malformed(what: string): TallyringError {
  return new TallyringError('INVALID_ARGUMENT', `malformed gossip message: ${what}`);
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw malformed(what);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT) throw malformed(what);
  return value;
}

function name(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > 64) throw malformed(what);
  return value;
}

function number(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(what);
  return value;
}
