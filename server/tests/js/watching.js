// Presence of others, and typing. Argument: url, users {a, b, c}, tokens {a, b, c, admin}.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, http, scenario } = require("./client.js");

scenario(async ({ url, users, tokens }, check) => {
  const { a, b, c } = users;
  const connect = (name) => new Device(url, "websocket", { token: tokens[name] }).connected();
  const ada = await connect("a");
  let bob = await connect("b");
  await ada.send(b, "so that they know each other");
  const states = () => ada.heard.filter(([name]) => name === "presence").map(([, state]) => state);

  await check("only people with a conversation can be followed", async () => {
    assertError((await ada.ask("subscribe_presence", { userIds: [b, c] }))[0], "forbidden");
    for (const payload of [{ userIds: [] }, { userIds: Array(501).fill(b) }, { userIds: b }, {}]) {
      assertError((await ada.ask("subscribe_presence", payload))[0], "invalid_request");
    }
    assertError((await ada.ask("subscribe_presence", { userIds: ["bob"] }))[0], "invalid_id");
    const { presence } = await ada.ok("subscribe_presence", { userIds: [b] });
    assert.equal(presence.length, 1);
    assert.deepEqual([presence[0].userId, presence[0].isOnline], [b, true]);
    assert.match(presence[0].lastSeen, /Z$/);
  });

  await check("a change is told once, and coming back at once is none", async () => {
    for (const _ of [1, 2, 3]) {
      bob.close();
      bob = await connect("b");
    }
    bob.close();
    const left = await ada.hears("presence", ({ isOnline }) => !isOnline);
    assert.equal(left.userId, b);
    assert.ok(Date.now() - Date.parse(left.lastSeen) >= 2_500, "told only once the absence lasted");
    bob = await connect("b");
    await ada.hears("presence", ({ isOnline }) => isOnline);
    assert.deepEqual(states().map(({ isOnline }) => isOnline), [false, true]);
  });

  await check("somebody invisible seems offline to others only", async () => {
    await bob.ok("update_settings", { invisible: true });
    await ada.hears("presence", ({ isOnline, lastSeen }) => !isOnline && lastSeen === undefined);
    assert.equal((await http(url, `/users/${b}`, tokens.a)).body.isOnline, false);
    assert.equal((await http(url, "/users/me", tokens.b)).body.isOnline, true);
    assert.equal((await ada.ok("conversations", {})).conversations[0].peer.isOnline, false);
    await bob.ok("update_settings", { invisible: false });
    const before = states().length;
    await ada.hears("presence", (state) => states().indexOf(state) >= Math.min(before - 1, 3) && state.isOnline);
  });

  await check("somebody is there for acquaintances only, whichever way one asks", async () => {
    const eve = await connect("c");
    const seen = async (token) => {
      const user = (await http(url, `/users/${b}`, token)).body;
      const { body } = await http(url, `/users?username=${encodeURIComponent(user.username)}`, token);
      assert.deepEqual(body.users, [user]);
      return [user.isOnline, "lastSeen" in user];
    };
    assert.deepEqual(await seen(tokens.a), [true, true]);
    assert.deepEqual(await seen(tokens.b), [true, true], "oneself");
    assert.deepEqual(await seen(tokens.c), [false, false], "as one who never came");
    assert.deepEqual(await seen(tokens.admin), [true, true]);
    assertError((await eve.ask("subscribe_presence", { userIds: [b] }))[0], "forbidden");
    // Typing: nobody hears a stranger, nor somebody invisible; the answer is the same for all.
    await bob.ok("update_settings", { invisible: true });
    for (const [device, receiverId] of [[eve, a], [bob, a], [ada, c], [bob, "6b".repeat(12)]]) {
      assert.deepEqual(await device.ok("typing", { receiverId, isTyping: true }), { ok: true });
    }
    assert.deepEqual(await seen(tokens.a), [false, false], "invisible");
    assert.deepEqual(await seen(tokens.admin), [true, true], "an administrator sees it");
    await bob.ok("update_settings", { invisible: false });
    await bob.ok("typing", { receiverId: a, isTyping: true });
    await ada.hears("typing", ({ userId }) => userId === b);
    await bob.ok("typing", { receiverId: a, isTyping: false });
    await ada.hears("typing", ({ isTyping }) => !isTyping);
    const told = [...ada.heard, ...eve.heard].filter(([name]) => name === "typing").map(([, { isTyping }]) => isTyping);
    assert.deepEqual(told, [true, false]);
    ada.heard.splice(0, ada.heard.length, ...ada.heard.filter(([name]) => name !== "typing"));
    eve.close();
  });

  await check("whoever is followed no more is told no more", async () => {
    await ada.ok("unsubscribe_presence", { userIds: [b] });
    const before = states().length;
    await bob.ok("update_settings", { invisible: true });
    await bob.ok("update_settings", { invisible: false });
    const fence = await bob.send(a, "fence");
    await ada.hears(`receive_message_${a}`, ({ _id }) => _id === fence._id);
    assert.equal(states().length, before);
  });

  await check("typing reaches the peer and expires by itself", async () => {
    const third = await connect("c");
    await bob.send(c, "so that they know each other");
    assert.deepEqual(await bob.ok("typing", { receiverId: a, isTyping: true }), { ok: true });
    assert.deepEqual(await ada.hears("typing"), { userId: b, isTyping: true });
    await bob.ok("typing", { receiverId: a, isTyping: false });
    await ada.hears("typing", ({ isTyping }) => !isTyping);
    await bob.ok("typing", { receiverId: a, isTyping: true });
    const told = () => ada.heard.filter(([name]) => name === "typing").map(([, { isTyping }]) => isTyping);
    await ada.hearsInAll(ada.heard.length + (told().length === 3 ? 1 : 2));
    assert.deepEqual(told(), [true, false, true, false], "the last one expired");
    await bob.ok("typing", { receiverId: c, isTyping: true });
    await third.hears("typing", ({ userId }) => userId === b);
    assertError((await ada.ask("typing", { receiverId: "bob", isTyping: true }))[0], "invalid_id");
    assertError((await ada.ask("typing", { receiverId: b }))[0], "invalid_request");
  });
});
