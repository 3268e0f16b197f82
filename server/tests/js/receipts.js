// Receipts, unread numbers, the inbox. Argument: url, users {a, b, c}, tokens {a, b, c}.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, http, scenario } = require("./client.js");

scenario(async ({ url, users, tokens }, check) => {
  const { a, b, c } = users;
  const connect = (name) => new Device(url, "websocket", { token: tokens[name] }).connected();
  const [phone, laptop, bob, eve] = await Promise.all(["a", "a", "b", "c"].map(connect));
  const sent = [];

  await check("unread numbers are told to all devices, and are absolute", async () => {
    for (const text of ["one", "two", "three"]) sent.push(await bob.send(a, text));
    for (const device of [phone, laptop]) {
      const update = await device.standing(b, ({ unread, lastMessage }) => unread === 3 && lastMessage._id === sent[2]._id);
      assert.deepEqual(Object.keys(update), ["peerId", "peer", "lastMessage", "unread"]);
      assert.equal(update.peer.isOnline, true);
    }
    const own = await bob.standing(a, ({ lastMessage }) => lastMessage._id === sent[2]._id);
    assert.equal(own.unread, 0, "what one wrote oneself is read");
  });

  await check("marking answers, moves forward only, and is told to the peer and the other devices", async () => {
    const [one, two, three] = sent.map(({ _id }) => _id);
    const delivered = await phone.ok("mark_delivered", { peerId: b, upTo: two });
    assert.deepEqual(delivered, { ok: true, peerId: b, deliveredUpTo: two });
    const heard = await bob.hears("messages_delivered");
    assert.deepEqual(Object.keys(heard), ["userId", "upTo", "at"]);
    assert.deepEqual([heard.userId, heard.upTo], [a, two]);
    assert.deepEqual(await laptop.ok("mark_read", { peerId: b, upTo: one }), {
      ok: true, peerId: b, readUpTo: one, deliveredUpTo: two,
    });
    assert.equal((await bob.hears("messages_read")).upTo, one);
    await phone.standing(b, ({ unread, readUpTo }) => unread === 2 && readUpTo === one);
    // Backwards is no error and nobody hears of it.
    assert.equal((await phone.ok("mark_delivered", { peerId: b, upTo: one })).deliveredUpTo, two);
    const all = await phone.ok("mark_read", { peerId: b, upTo: three });
    assert.deepEqual([all.readUpTo, all.deliveredUpTo], [three, three], "reading is receiving");
    await bob.hears("messages_read", ({ upTo }) => upTo === three);
    for (const device of [phone, laptop]) await device.standing(b, ({ unread }) => unread === 0);
    const peer = await bob.standing(a, ({ peerReadUpTo }) => peerReadUpTo === three);
    assert.equal(peer.peerDeliveredUpTo, three);
    const receipts = bob.heard.filter(([name]) => name.startsWith("messages_")).map(([name, { upTo }]) => [name, upTo]);
    assert.deepEqual(receipts, [["messages_delivered", two], ["messages_read", one], ["messages_read", three]]);
    assert.ok(!eve.heard.length && !eve.updates.length, "nobody else hears of it");
  });

  await check("what can't be marked is refused", async () => {
    const foreign = await eve.send(b, "between c and b");
    for (const [payload, code] of [
      [{ peerId: b, upTo: foreign._id }, "message_not_found"],
      [{ peerId: c, upTo: sent[0]._id }, "message_not_found"],
      [{ peerId: b, upTo: "last" }, "invalid_id"],
      [{ peerId: "bob", upTo: sent[0]._id }, "invalid_id"],
      [{ peerId: b }, "invalid_request"],
      [7, "invalid_request"],
    ]) {
      for (const event of ["mark_read", "mark_delivered"]) {
        assertError((await phone.ask(event, payload))[0], code, `${event} ${JSON.stringify(payload)}: `);
      }
    }
  });

  await check("the inbox lists the newest conversation first, in pages", async () => {
    await eve.send(a, "hello");
    const first = await phone.ok("conversations", { limit: 1 });
    assert.deepEqual(first.conversations.map(({ peerId }) => peerId), [c]);
    assert.deepEqual([first.conversations[0].unread, first.totalUnread], [1, 1]);
    const second = await phone.ok("conversations", { limit: 1, cursor: first.next });
    assert.deepEqual(second.conversations.map(({ peerId }) => peerId), [b]);
    assert.equal(second.next, undefined);
    const overHttp = await http(url, "/chat/conversations", tokens.a);
    assert.deepEqual(overHttp.body, {
      conversations: [...first.conversations, ...second.conversations], totalUnread: 1,
    });
    await bob.send(a, "me too");
    const again = await phone.ok("conversations", {});
    assert.deepEqual(again.conversations.map(({ peerId, unread }) => [peerId, unread]), [[b, 1], [c, 1]]);
    assert.equal(again.totalUnread, 2);
    const note = await phone.send(a, "to myself");
    const own = (await phone.ok("conversations", {})).conversations[0];
    assert.deepEqual([own.peerId, own.unread, own.lastMessage._id], [a, 0, note._id]);
    for (const payload of [{ cursor: "x" }, { limit: 0 }, { limit: 201 }]) {
      assertError((await phone.ask("conversations", payload))[0], "invalid_request");
    }
    assert.equal((await http(url, "/chat/conversations?cursor=x", tokens.a)).status, 400);
    assert.equal((await http(url, "/chat/conversations", "no token")).status, 401);
  });

  await check("read receipts can be turned off, for both ways", async () => {
    const { settings } = await phone.ok("update_settings", { readReceipts: false });
    assert.deepEqual(settings, { readReceipts: false, invisible: false, version: settings.version });
    assert.deepEqual((await laptop.hears("settings_updated")), settings);
    assert.deepEqual((await http(url, "/users/me/settings", tokens.a)).body, { settings });
    const message = await bob.send(a, "secret reading");
    await phone.ok("mark_read", { peerId: b, upTo: message._id });
    await bob.hears("messages_delivered", ({ upTo }) => upTo === message._id);
    const seen = await bob.standing(a, ({ peerDeliveredUpTo }) => peerDeliveredUpTo === message._id);
    assert.equal(seen.peerReadUpTo, undefined);
    const answer = await phone.send(b, "and yours?");
    await bob.ok("mark_read", { peerId: a, upTo: answer._id });
    await phone.hears("messages_delivered", ({ upTo }) => upTo === answer._id);
    assert.ok(!phone.heard.some(([name]) => name === "messages_read"));
    const change = { method: "PATCH", body: JSON.stringify({ readReceipts: true }) };
    assert.equal((await http(url, "/users/me/settings", tokens.a, change)).body.settings.readReceipts, true);
    const later = await phone.send(b, "now?");
    await bob.ok("mark_read", { peerId: a, upTo: later._id });
    await phone.hears("messages_read", ({ upTo }) => upTo === later._id);
    assertError((await phone.ask("update_settings", { readReceipt: true }))[0], "invalid_request");
    assertError((await phone.ask("update_settings", { invisible: "yes" }))[0], "invalid_request");
  });
});
