// Where a client keeps its copy: texts that name plain values, in the order of the texts.

/** What a copy is kept in. The client calls `write` once for each group of changes, and one after the other. */
export interface Store {
  /** The values of these keys, in their order; `undefined` where there is none. */
  get(keys: string[]): Promise<unknown[]>;
  /**
   * What is stored from the key `from` (included) to `to` (not included), in the order of JavaScript's `<`; the last ones
   * first if `backwards`, and no more than `limit`.
   */
  list(from: string, to: string, limit?: number, backwards?: boolean): Promise<[key: string, value: unknown][]>;
  /**
   * Stores all of these or none of them, and resolves once they would survive a crash. `undefined` removes a key. With `clear`
   * everything that was there before goes in the same step.
   */
  write(entries: [key: string, value: unknown][], clear?: boolean): Promise<void>;
  /** Gives back what it holds open. */
  close?(): Promise<void>;
}

/** A store that ends with the page or the process. Values are shared with whoever wrote them. */
export class MemoryStore implements Store {
  private readonly values = new Map<string, unknown>();
  /** The keys in order; after a large write they are sorted when they are read next. */
  private keys: string[] = [];
  private sorted = true;

  async get(keys: string[]): Promise<unknown[]> {
    return keys.map((key) => this.values.get(key));
  }

  async list(from: string, to: string, limit = Infinity, backwards = false): Promise<[string, unknown][]> {
    if (!this.sorted) {
      this.keys = [...this.values.keys()].sort((a, b) => (a < b ? -1 : 1));
      this.sorted = true;
    }
    const [first, end] = [this.place(from), this.place(to)];
    const count = Math.max(0, Math.min(limit, end - first));
    const found = backwards ? this.keys.slice(end - count, end).reverse() : this.keys.slice(first, first + count);
    return found.map((key) => [key, this.values.get(key)]);
  }

  async write(entries: [string, unknown][], clear = false): Promise<void> {
    this.apply(entries, clear);
  }

  /** As `write`, at once. */
  protected apply(entries: [string, unknown][], clear: boolean): void {
    if (clear) this.values.clear();
    if (clear || entries.length > 1_000) this.sorted = false;
    for (const [key, value] of entries) {
      if (this.sorted && this.values.has(key) !== (value !== undefined)) {
        if (value === undefined) this.keys.splice(this.place(key), 1);
        else this.keys.splice(this.place(key), 0, key);
      }
      if (value === undefined) this.values.delete(key);
      else this.values.set(key, value);
    }
  }

  /** All that is stored, for a file that is written anew. */
  protected all(): [string, unknown][] {
    return [...this.values];
  }

  /** How many keys are before this one. */
  private place(key: string): number {
    let [low, high] = [0, this.keys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
