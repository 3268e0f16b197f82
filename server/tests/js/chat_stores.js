// The stores of `shared/js`: random reads and writes, and each store answers as a plain map does; the one in a file also after it was
// opened anew, after a line was cut off, and after it was written anew because it had grown.
"use strict";
require("fake-indexeddb/auto");
const assert = require("node:assert/strict");
const { appendFileSync, statSync } = require("node:fs");
const { IndexedDbStore, MemoryStore } = require("chat-client");
const { FileStore } = require("chat-client/file");
const { report, scenario } = require("./client.js");

/** The same numbers for each store. */
function numbers(seed) {
  return (below) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below); // its low bits repeat
  };
}

async function compare(opened, rounds, reopen) {
  let store = opened;
  const model = new Map();
  const next = numbers(7);
  const key = () => `${"abc"[next(3)]}/${next(40)}`;
  const sorted = () => [...model].sort(([a], [b]) => (a < b ? -1 : 1));
  for (let round = 0; round < rounds; round += 1) {
    const entries = Array.from({ length: next(round % 50 ? 6 : 1_500) }, () => [
      key(),
      next(4) ? { round, text: "x".repeat(next(300)) } : undefined,
    ]);
    const clear = next(200) === 0;
    await store.write(entries, clear);
    if (clear) model.clear();
    for (const [name, value] of entries) value === undefined ? model.delete(name) : model.set(name, value);

    const [from, to, limit] = [key(), key(), next(3) ? next(20) : undefined];
    const inside = sorted().filter(([name]) => name >= from && name < to);
    if (from < to) {
      assert.deepEqual(await store.list(from, to, limit), inside.slice(0, limit));
      assert.deepEqual(await store.list(from, to, limit, true), inside.reverse().slice(0, limit));
    }
    const keys = [key(), key(), "nowhere"];
    assert.deepEqual(await store.get(keys), keys.map((name) => model.get(name)));
    if (reopen && round % 40 === 0) store = await reopen(store);
  }
  assert.deepEqual(await store.list("a", "z"), sorted());
  await store.close?.();
}

scenario(async ({ path }, check) => {
  await check("in memory", () => compare(new MemoryStore(), 400));
  await check("in IndexedDB", () => compare(new IndexedDbStore("stores"), 100));
  await check("in a file", async () => {
    let largest = 0;
    let shrunk = false;
    await compare(new FileStore(path), 800, async (store) => {
      await store.close();
      const { size } = statSync(path);
      shrunk ||= size < largest;
      largest = Math.max(largest, size);
      appendFileSync(path, '[false,[["a/1",{"text":"cut o'); // as a crash leaves it
      return new FileStore(path);
    });
    assert.ok(shrunk, "it was never written anew");
  });
  report({ stores: 3 });
});
