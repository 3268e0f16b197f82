// A store in the browser's IndexedDB: it outlives the page.
import type { Store } from "./store.js";

const TABLE = "copy";

/** Keeps the copy in the database of this name. */
export class IndexedDbStore implements Store {
  private readonly opened: Promise<IDBDatabase>;

  constructor(name = "chat") {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => void opening.result.createObjectStore(TABLE);
    this.opened = done(opening);
    this.opened.catch(() => undefined); // whoever reads or writes is told
  }

  async get(keys: string[]): Promise<unknown[]> {
    if (!keys.length) return [];
    const table = (await this.opened).transaction(TABLE).objectStore(TABLE);
    return Promise.all(keys.map((key) => done(table.get(key))));
  }

  async list(from: string, to: string, limit = Infinity, backwards = false): Promise<[string, unknown][]> {
    const table = (await this.opened).transaction(TABLE).objectStore(TABLE);
    const cursor = table.openCursor(IDBKeyRange.bound(from, to, false, true), backwards ? "prev" : "next");
    const found: [string, unknown][] = [];
    return new Promise((resolve, reject) => {
      cursor.onerror = () => reject(cursor.error);
      cursor.onsuccess = () => {
        const at = cursor.result;
        if (!at || found.length >= limit) return resolve(found);
        found.push([String(at.key), at.value]);
        at.continue();
      };
    });
  }

  async write(entries: [string, unknown][], clear = false): Promise<void> {
    const transaction = (await this.opened).transaction(TABLE, "readwrite", { durability: "strict" });
    const table = transaction.objectStore(TABLE);
    if (clear) table.clear();
    for (const [key, value] of entries) {
      if (value === undefined) table.delete(key);
      else table.put(value, key);
    }
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }

  async close(): Promise<void> {
    (await this.opened).close();
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
