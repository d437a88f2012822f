const FIRST_CAPACITY = 1_024;

/**
 * Which ids stood among the last `window` offsets of a partition. A function of the records that it was shown:
 * whoever shows it the same ones gets the same answers. Runs per event, so it keeps no object for each.
 */
export class DedupWindow {
  readonly #window: number;
  /** The newest offset of each id. */
  readonly #offsets = new Map<string, number>();
  /** A ring of the records in the window, the oldest at `#head`; one id may stand there more than once. */
  #ids: (string | undefined)[] = new Array(FIRST_CAPACITY);
  #at = new Float64Array(FIRST_CAPACITY);
  #head = 0;
  #records = 0;

  constructor(window: number) {
    this.#window = window;
  }

  /** Ids remembered. */
  get size(): number {
    return this.#offsets.size;
  }

  /** Notes a record, and says whether its id stood in the window before it. Offsets grow. */
  note(offset: number, id: string): boolean {
    this.#forgetBefore(offset - this.#window);
    const isKnown = this.#offsets.has(id);
    this.#offsets.set(id, offset);
    if (this.#records === this.#ids.length) this.#grow();
    const place = (this.#head + this.#records) % this.#ids.length;
    this.#ids[place] = id;
    this.#at[place] = offset;
    this.#records++;
    return isKnown;
  }

  #forgetBefore(first: number): void {
    while (this.#records > 0 && this.#at[this.#head]! < first) {
      const id = this.#ids[this.#head]!;
      if (this.#offsets.get(id) === this.#at[this.#head]) this.#offsets.delete(id);
      this.#ids[this.#head] = undefined;
      this.#head = (this.#head + 1) % this.#ids.length;
      this.#records--;
    }
  }

  /** At most one record stands at each offset of the window, so this ends. */
  #grow(): void {
    const { length } = this.#ids;
    const ids = new Array<string | undefined>(length * 2);
    const at = new Float64Array(length * 2);
    for (let i = 0; i < length; i++) {
      ids[i] = this.#ids[(this.#head + i) % length];
      at[i] = this.#at[(this.#head + i) % length]!;
    }
    this.#ids = ids;
    this.#at = at;
    this.#head = 0;
  }
}
