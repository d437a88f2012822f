import { CLIENT_PRODUCER_KINDS, type MintRequest, type Outcome, type ProducerShard } from './calls.js';
import {
  errorFromWire,
  errorToWire,
  granularityFromWire,
  granularityToWire,
  int64FromWire,
  int64ToWire,
  safeFromWire,
  safeToWire,
  textToWire,
} from './convert.js';
import { type CellAddress, PRODUCER_ID_BYTES } from './entry.js';
import { TallyringError } from './errors.js';
import type * as wire from './messages.js';

/** What producers ask beside counting: ids, and the shards of cells; as convert.ts does. */

function checkProducerId(what: string, id: Buffer): Buffer {
  if (id.length === PRODUCER_ID_BYTES) return id;
  throw new TallyringError('INVALID_ARGUMENT', `${what} must have ${PRODUCER_ID_BYTES} bytes`);
}

const kindName = (kind: string) => `PRODUCER_KIND_${kind.toUpperCase()}`;

export function mintToWire({ above, kind = 'sdk' }: MintRequest): wire.WireMintProducerRequest {
  return { above, kind: kindName(kind) };
}

export function mintFromWire({ above, kind }: wire.WireMintProducerRequest): MintRequest {
  if (above !== undefined) checkProducerId('above', above);
  if (kind === 'PRODUCER_KIND_UNSPECIFIED') return { above, kind: 'sdk' };
  const known = CLIENT_PRODUCER_KINDS.find((each) => kindName(each) === kind);
  if (known !== undefined) return { above, kind: known };
  throw new TallyringError(
    'INVALID_ARGUMENT',
    `unknown kind of producer ${kind}; use ${CLIENT_PRODUCER_KINDS.map(kindName).join(' or ')}`,
  );
}

export function addressToWire({ key, eventType, granularity, window }: CellAddress): wire.WireCellAddress {
  return {
    key: textToWire('key', key),
    eventType: textToWire('eventType', eventType),
    granularity: granularityToWire(granularity),
    window: safeToWire('window', window),
  };
}

export function addressFromWire({ key, eventType, ...rest }: wire.WireCellAddress): CellAddress {
  const granularity = granularityFromWire(rest.granularity) ?? 'total';
  const window = safeFromWire('window', rest.window);
  return { key, eventType, granularity, window };
}

function shardToWire(shard: ProducerShard): wire.WireProducerShard {
  const { producerId, sequence, count, sum, min, max } = shard;
  return {
    producerId,
    sequence: safeToWire('sequence', sequence),
    count: int64ToWire('count', count),
    sum: int64ToWire('sum', sum),
    min: min === null ? undefined : int64ToWire('min', min),
    max: max === null ? undefined : int64ToWire('max', max),
  };
}

function shardFromWire(shard: wire.WireProducerShard): ProducerShard {
  const { producerId, sequence, count, sum, min, max } = shard;
  return {
    producerId: checkProducerId('producer_id', producerId),
    sequence: safeFromWire('sequence', sequence),
    count: int64FromWire(count),
    sum: int64FromWire(sum),
    min: min === undefined ? null : int64FromWire(min),
    max: max === undefined ? null : int64FromWire(max),
  };
}

export function shardOutcomesToWire(outcomes: readonly Outcome<ProducerShard[]>[]): wire.WireShardsReply {
  return {
    outcomes: outcomes.map((outcome) =>
      'ok' in outcome
        ? { cell: { shards: outcome.ok.map(shardToWire) } }
        : { error: errorToWire(outcome.error) },
    ),
  };
}

export function shardOutcomesFromWire({ outcomes }: wire.WireShardsReply): Outcome<ProducerShard[]>[] {
  return outcomes.map(({ cell, error }) =>
    cell ? { ok: cell.shards.map(shardFromWire) } : { error: errorFromWire(error) },
  );
}
