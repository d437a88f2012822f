import { safeFromWire, safeToWire, textToWire } from './convert.js';
import { TallyringError } from './errors.js';
import type * as wire from './messages.js';
import type { RegisterRecord } from './register.js';

/** As convert.ts, for registers. */

export function recordToWire(record: RegisterRecord): wire.WireRegisterRecord {
  return {
    epoch: safeToWire('epoch', record.epoch),
    write: safeToWire('write', record.write),
    quorum: record.quorum.map(([nodeId, storeNumber]) => ({
      nodeId: textToWire('node_id', nodeId),
      storeNumber: safeToWire('store_number', storeNumber),
    })),
    ...(record.value !== null && { value: record.value }),
  };
}

/** Throws INVALID_ARGUMENT for what is no record that `Acquire` gave. */
export function recordFromWire(record: wire.WireRegisterRecord | null): RegisterRecord {
  if (record === null) throw new TallyringError('INVALID_ARGUMENT', 'no record is given');
  return {
    epoch: positive('epoch', record.epoch),
    write: positive('write', record.write),
    quorum: record.quorum.map(({ nodeId, storeNumber }) => [nodeId, positive('store_number', storeNumber)]),
    value: record.value ?? null,
  };
}

function positive(what: string, digits: wire.WireInt64): number {
  const value = safeFromWire(what, digits);
  if (value > 0) return value;
  throw new TallyringError('INVALID_ARGUMENT', `${what} must be positive, not ${value}`);
}
