import { hash64Text } from '../../ports/hash.js';

/** Size of the token space: tokens are unsigned 64-bit integers on a circle. */
export const TOKEN_SPACE = 2 ** 64;

/**
 * Token of one vnode: xxHash64 of "nodeId#vnode". A function of these two alone, so every node and every
 * client computes the same ring, and a node that joins moves no token of another. ('#' cannot stand in a
 * nodeId, so no two nodes share a text.)
 */
export function vnodeToken(nodeId: string, vnode: number): bigint {
  return hash64Text(`${nodeId}#${vnode}`);
}
