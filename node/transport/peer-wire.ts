import { MESSAGE_SLACK_BYTES } from '../../proto/channel.js';
import type { Limits } from '../config.js';

/** Version of what peers say (peer.proto and its bodies). A node accepts its own and older ones. */
export const PEER_FORMAT = 1;

/** Metadata of an opening (peer.proto). */
export const PEER_METADATA = {
  cluster: 'tallyring-cluster',
  node: 'tallyring-node',
  target: 'tallyring-target',
  format: 'tallyring-format',
} as const;

/** Greatest body of a frame: a full batch and its fields, below the message limit with the envelope. */
export function maxBodyBytes(limits: Limits): number {
  return limits.maxBatchBytes + MESSAGE_SLACK_BYTES / 2;
}

/** Greatest message that a server or peer takes. */
export function maxMessageBytes(limits: Limits): number {
  return limits.maxBatchBytes + MESSAGE_SLACK_BYTES;
}
