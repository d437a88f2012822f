/** Numbers in [0, 1) that a seed determines (mulberry32), so that every run draws the same load. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws ranks 0 … ranks−1 where rank r has a weight of 1 / (r + 1)^exponent (Zipf's law). */
export function zipf(ranks: number, exponent: number, random: () => number): () => number {
  const cumulative = new Float64Array(ranks);
  let total = 0;
  for (let rank = 0; rank < ranks; rank++) {
    total += 1 / (rank + 1) ** exponent;
    cumulative[rank] = total;
  }
  return () => firstAbove(cumulative, random() * total);
}

function firstAbove(ascending: Float64Array, limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Drawn before the clock starts: the search must not be part of what is measured. */
export function drawRanks(draws: number, draw: () => number): Uint32Array {
  const ranks = new Uint32Array(draws);
  for (let i = 0; i < draws; i++) ranks[i] = draw();
  return ranks;
}
