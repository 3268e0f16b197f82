// Pages of long messages: none is longer than 512 KiB, and together they hold all. Argument: url, me, token, peers [{id, token}].
"use strict";
const assert = require("node:assert/strict");
const { Device, http, scenario } = require("./client.js");

const PAGE_BYTES = 512 * 1024;
/** 10,800 characters that JSON writes with six bytes each. */
const TEXT = "\u0001".repeat(10_800);

scenario(async ({ url, me, token, peers }, check) => {
  const ada = await new Device(url, "websocket", { token }).connected();
  const { next: since } = await ada.ok("sync", {});
  const sent = [];
  for (const { id } of peers) sent.push(await ada.send(id, TEXT));
  const [bob] = peers;
  const theirs = await new Device(url, "websocket", { token: bob.token }).connected();
  for (let number = 0; number < 70; number += 1) {
    sent.push(number % 2 ? await ada.send(bob.id, number % 3 ? TEXT : "short") : await theirs.send(me, TEXT));
  }
  theirs.close();
  const ids = sent.map(({ _id }) => _id);
  const isPage = (page) => {
    const bytes = JSON.stringify(page).length;
    assert.ok(bytes <= PAGE_BYTES, `a page of ${bytes} bytes`);
    return bytes;
  };
  /** Follows pages of changes to their end. */
  const follow = async (get) => {
    const got = new Set();
    let [page, pages] = [{ next: since, hasMore: true }, 0];
    while (page.hasMore) {
      page = await get(page.next);
      isPage(page);
      assert.ok(page.events.length > 0 || !page.hasMore, "more, but nothing of it");
      for (const { message } of page.events) if (message) got.add(message._id);
      pages += 1;
    }
    assert.deepEqual([...got].sort(), [...ids].sort());
    assert.ok(pages > 3, `${pages} pages`);
  };

  await check("pages of changes end at 512 KiB", () => follow((next) => ada.ok("sync", { since: next, limit: 200 })));

  await check("so they do over HTTP", () => follow(async (next) => {
    const { status, body } = await http(url, `/chat/sync?since=${next}&limit=200`, token);
    assert.equal(status, 200);
    return body;
  }));

  await check("who connects with a cursor is sent all of them, however long", async () => {
    const back = await new Device(url, "websocket", { token, since }).connected();
    const done = await back.hears("sync_done");
    assert.equal(done.hasMore, false);
    const told = new Set(back.heard.map(([, message]) => message._id));
    for (const id of ids) assert.ok(told.has(id), id);
    back.close();
  });

  for (const [what, get] of [
    ["pages of conversations end at 512 KiB", (query) => ada.ok("conversations", query)],
    ["so do those over HTTP", async (query) =>
      (await http(url, `/chat/conversations?${new URLSearchParams(query)}`, token)).body],
  ]) {
    await check(what, async () => {
      const listed = [];
      let [cursor, pages] = [undefined, 0];
      do {
        const page = await get({ limit: 200, ...(cursor && { cursor }) });
        isPage(page);
        assert.ok(page.conversations.length > 0);
        listed.push(...page.conversations.map(({ peerId }) => peerId));
        cursor = page.next;
        pages += 1;
      } while (cursor);
      assert.deepEqual([...listed].sort(), peers.map(({ id }) => id).sort(), "each once");
      assert.ok(pages > 1, `${pages} pages`);
    });
  }

  await check("the first page that comes without a cursor is one of them", async () => {
    const { inbox } = await ada.ok("sync", {});
    isPage(inbox);
    assert.ok(inbox.next, "there are more");
  });

  await check("a page of history holds as many messages as were asked for, however long", async () => {
    const path = `/chat/history/${me}/${bob.id}`;
    const page = async (query) => {
      const { status, body } = await http(url, `${path}?${query}`, token);
      assert.equal(status, 200);
      return body.map(({ _id }) => _id);
    };
    const all = sent.filter(({ receiver, sender }) => [receiver, sender].includes(bob.id)).map(({ _id }) => _id);
    assert.equal(all.length, 71);
    assert.deepEqual((await http(url, path, token)).body.map(({ _id }) => _id), all, "the whole");
    assert.deepEqual(await page("limit=200"), all);
    assert.deepEqual(await page("limit=60"), all.slice(-60));
    assert.deepEqual(await page(`before=${all[65]}&limit=50`), all.slice(15, 65));
    assert.deepEqual(await page(`before=${all[40]}&limit=200`), all.slice(0, 40));
    assert.deepEqual(await page(`after=${all[3]}&limit=50`), all.slice(4, 54));
    assert.deepEqual(await page(`after=${all[3]}&before=${all[60]}&limit=200`), all.slice(4, 60));
    assert.deepEqual(await page(`from=${sent.at(-30).createdAt}&limit=200`).then((ids) => ids.slice(-30)), all.slice(-30));
    assert.deepEqual(await page(`around=${all[35]}&limit=41`), all.slice(15, 56));
    assert.deepEqual(await page(`around=${all[2]}&limit=41`), all.slice(0, 41));
    assert.deepEqual(await page(`around=${all[70]}&limit=41`), all.slice(-41));
    assert.deepEqual(await page(`around=${all[70]}&limit=200`), all);
  });
  ada.close();
});
