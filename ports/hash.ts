import xxhash from 'xxhash-wasm';

const api = await xxhash();

/** 64-bit xxHash of bytes, seed 0. */
export function hash64(bytes: Uint8Array): bigint {
  return api.h64Raw(bytes);
}

/** 64-bit xxHash of a string's UTF-8 bytes, seed 0. */
export function hash64Text(text: string): bigint {
  return api.h64(text);
}
