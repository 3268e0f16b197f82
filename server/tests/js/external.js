// Users who are known by ids of another system. Argument: url, transport, ids {a, b, c: [external id, _id]}, tokens {a, b, c}.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, assertRefused, http, scenario } = require("./client.js");

scenario(async ({ url, transport, ids, tokens, foreign }, check) => {
  const device = (name) => new Device(url, transport, { token: tokens[name] }).connected();
  const [ada, bob] = await Promise.all([device("a"), device("b")]);
  const [[a, aId], [b, bId], [c, cId]] = [ids.a, ids.b, ids.c];

  await check("a token that names nobody, or somebody by the id here, is refused", async () => {
    for (const token of Object.values(foreign)) {
      assertRefused(await new Device(url, transport, { token }).refused(), "Authentication error", "user_unknown");
    }
  });
  await check("an external id is taken, and messages have the ids of this chat", async () => {
    const sent = await ada.send(b, "Hello");
    assert.deepEqual([sent.sender, sent.receiver], [aId, bId]);
    assert.deepEqual(await bob.hears(`receive_message_${bId}`), sent);
    const answer = await bob.send(sent.sender, "to the id of the message");
    assert.deepEqual(await ada.hears(`receive_message_${aId}`), answer);
    assert.deepEqual((await bob.ok("mark_read", { peerId: a, upTo: sent._id })).peerId, aId);
    assert.equal((await ada.hears("messages_read")).userId, bId);
  });
  await check("messages keep their order while it is looked up for whom they are", async () => {
    const names = [c, cId, b, c.toUpperCase(), cId.toUpperCase()];
    const sent = Array.from({ length: 200 }, (_, index) => [names[index % names.length], `${index}`]);
    const answers = await Promise.all(sent.map(([receiverId, message]) => ada.ask("send_message", { receiverId, message })));
    for (const [index, [answer]] of answers.entries()) {
      // In upper case it is another external id, but the same one of ours.
      if (index % names.length === 3) assertError(answer, "user_not_found");
      else assert.equal(answer.message.message, `${index}`);
    }
    const { body } = await http(url, `/chat/history/${encodeURIComponent(a)}/${encodeURIComponent(c)}`, tokens.a);
    const texts = sent.map(([, text]) => text).filter((_, index) => [0, 1, 4].includes(index % names.length));
    assert.deepEqual(body.map(({ message }) => message), texts);
  });
  await check("who does not exist is nobody, and what is no id is none", async () => {
    const nobody = ["nobody", "ffffffffffffffffffffffff"];
    for (const receiverId of nobody) {
      const [sent] = await ada.ask("send_message", { receiverId, message: "x" });
      assertError(sent, "user_not_found");
      await ada.ok("typing", { receiverId, isTyping: true });
      const [marked] = await ada.ask("mark_read", { peerId: receiverId, upTo: "ffffffffffffffffffffffff" });
      assertError(marked, "message_not_found");
      const [followed] = await ada.ask("subscribe_presence", { userIds: [b, receiverId] });
      assertError(followed, "forbidden");
      assert.match(followed.error.message, /^userIds\[1\]: /, "not an id that the client never said");
      const history = await http(url, `/chat/history/${aId}/${receiverId}`, tokens.a);
      assert.deepEqual([history.status, history.body], [200, []]);
      assert.equal((await http(url, `/users/${receiverId}`, tokens.a)).body.error.code, "user_not_found");
    }
    for (const receiverId of ["", "x".repeat(129), "a\nb"]) {
      const [sent] = await ada.ask("send_message", { receiverId, message: "x" });
      assertError(sent, "invalid_id");
      assert.match(sent.error.message, /1 to 128 characters/);
      const [typed] = await ada.ask("typing", { receiverId, isTyping: true });
      assertError(typed, "invalid_id");
      const [followed] = await ada.ask("subscribe_presence", { userIds: [receiverId] });
      assertError(followed, "invalid_id");
    }
  });
  await check("presence and typing take external ids", async () => {
    const { presence } = await ada.ok("subscribe_presence", { userIds: [b, cId] });
    assert.deepEqual(presence.map(({ userId, isOnline }) => [userId, isOnline]), [[bId, true], [cId, false]]);
    await ada.ok("typing", { receiverId: b, isTyping: true });
    assert.deepEqual(await bob.hears("typing", ({ isTyping }) => isTyping), { userId: aId, isTyping: true });
    await ada.ok("unsubscribe_presence", { userIds: [b, "nobody"] });
  });
  await check("over HTTP each says which is which", async () => {
    const me = await http(url, "/users/me", tokens.a);
    assert.deepEqual([me.body._id, me.body.externalId], [aId, a]);
    for (const id of [b, bId, bId.toUpperCase()]) {
      const { body } = await http(url, `/users/${encodeURIComponent(id)}`, tokens.a);
      assert.deepEqual([body._id, body.externalId], [bId, b]);
    }
    const { body: inbox } = await http(url, "/chat/conversations", tokens.b);
    assert.equal(inbox.conversations.find(({ peerId }) => peerId === aId).peer.externalId, a);
    const stranger = await http(url, `/chat/history/${encodeURIComponent(a)}/${encodeURIComponent(b)}`, tokens.c);
    assert.equal(stranger.status, 403);
  });
  for (const one of [ada, bob]) one.close();
});
