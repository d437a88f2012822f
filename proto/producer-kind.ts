import { TallyringError } from './errors.js';

/** What a producer is; two bits of its id, behind UUIDv7's version. */
export const PRODUCER_KIND = { sdk: 0, node: 1, log: 2 } as const;
export type ProducerKind = keyof typeof PRODUCER_KIND;

const KIND_AT = 6;
const VERSION = 0x70;

/** The kind's byte of a producerId, with the two lowest bits as they are. */
export function producerKindByte(kind: ProducerKind, low: number): number {
  return VERSION | (PRODUCER_KIND[kind] << 2) | (low & 0x03);
}

/** The kind of the producer that a node minted this id for. Throws UNSUPPORTED_FORMAT for one that is not known here. */
export function kindOfProducer(producerId: Uint8Array): ProducerKind {
  const code = (producerId[KIND_AT]! >> 2) & 0x03;
  const kind = (Object.keys(PRODUCER_KIND) as ProducerKind[]).find((name) => PRODUCER_KIND[name] === code);
  if (kind !== undefined) return kind;
  throw new TallyringError('UNSUPPORTED_FORMAT', `producers of kind ${code} are not known here; upgrade`);
}
