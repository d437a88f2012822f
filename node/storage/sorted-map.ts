/** A map of strings whose keys can be walked in order. Insertion moves an array: made for thousands of keys. */
export class SortedMap<V> {
  readonly #values = new Map<string, V>();
  readonly #keys: string[] = [];

  get size(): number {
    return this.#keys.length;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    if (!this.#values.has(key)) this.#keys.splice(this.#lowerBound(key), 0, key);
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#keys.splice(this.#lowerBound(key), 1);
  }

  /** At most `limit` keys from `from` (inclusive) to `to` (exclusive). */
  keys(from: string, to: string, limit: number): string[] {
    const start = this.#lowerBound(from);
    const end = Math.min(this.#lowerBound(to), start + limit);
    return this.#keys.slice(start, Math.max(start, end));
  }

  clear(): void {
    this.#values.clear();
    this.#keys.length = 0;
  }

  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
