// Who hears a message, and what. Argument: url, transport, users {a, b, c}, tokens {a, b, c}.
// Reports every document as {conversation, text}, in the order of sending, for comparison with the history.
"use strict";
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { Device, assertDocument, assertError, report, scenario } = require("./client.js");

scenario(async ({ url, transport, users, tokens }, check) => {
  const { a, b, c } = users;
  const connect = (name) => new Device(url, transport, { token: tokens[name] }).connected();
  const stored = (conversation, document) => report({ conversation, text: JSON.stringify(document) });
  const [phone, laptop, receiver, receiverToo, third] = await Promise.all(["a", "a", "b", "b", "c"].map(connect));

  await check("the document is the same for the sender, the receiver and their other devices", async () => {
    const text = "Hi! ¿cómo estás? 你好 👋🏽 \"quoted\" \\ back\nline\ttab </script> \u2028 \u0000 .";
    const [answer, ...rest] = await phone.ask("send_message", { receiverId: b, message: text });
    assert.deepEqual(rest, []);
    const document = answer.message;
    assertDocument(document, a, b, text);
    assert.equal(JSON.stringify(answer), `{"ok":true,"message":${JSON.stringify(document)},"duplicate":false}`);
    for (const device of [receiver, receiverToo]) {
      assert.equal(JSON.stringify(await device.hears(`receive_message_${b}`)), JSON.stringify(document));
    }
    assert.equal(JSON.stringify(await laptop.hears("message_sent")), JSON.stringify(document));
    stored("a b", document);
  });

  await check("an answer goes back", async () => {
    const document = await receiver.send(a, "fine");
    assertDocument(document, b, a, "fine");
    for (const device of [phone, laptop]) {
      assert.equal(JSON.stringify(await device.hears(`receive_message_${a}`)), JSON.stringify(document));
    }
    stored("a b", document);
  });

  await check("a client that asks for no acknowledgement is served as well", async () => {
    phone.socket.emit("send_message", { receiverId: b, message: "as the old clients do" });
    const document = await receiver.hears(`receive_message_${b}`, ({ message }) => message === "as the old clients do");
    assertDocument(document, a, b, "as the old clients do");
    stored("a b", document);
  });

  await check("fields that nobody knows are ignored, and the sender is who the token says", async () => {
    const document = await phone.send(b, "forged", { sender: c, createdAt: "2001-01-01T00:00:00.000Z", _id: a, mood: 7 });
    assertDocument(document, a, b, "forged");
    assert.ok(document.createdAt > "2020");
    stored("a b", document);
  });

  await check("ids in capitals are the same ids", async () => {
    const document = await phone.send(b.toUpperCase(), "SHOUTED");
    assertDocument(document, a, b, "SHOUTED");
    await receiver.hears(`receive_message_${b}`, ({ _id }) => _id === document._id);
    stored("a b", document);
  });

  await check("a user may write to themself", async () => {
    const document = await phone.send(a, "note to self");
    assertDocument(document, a, a, "note to self");
    for (const device of [phone, laptop]) {
      const heard = await device.hears(`receive_message_${a}`, ({ _id }) => _id === document._id);
      assert.equal(JSON.stringify(heard), JSON.stringify(document));
    }
    stored("a a", document);
  });

  await check("a clientMessageId yields one message", async () => {
    const payload = { receiverId: b, message: "once", clientMessageId: randomUUID() };
    const twice = await Promise.all([phone.ask("send_message", payload), phone.ask("send_message", payload)]);
    const documents = twice.map(([answer]) => JSON.stringify(answer.message));
    assert.equal(documents[0], documents[1]);
    assert.deepEqual(twice.map(([answer]) => answer.duplicate).sort(), [false, true]);
    assertDocument(twice[0][0].message, a, b, "once");
    const [later] = await laptop.ask("send_message", payload);
    assert.equal(JSON.stringify(later), `{"ok":true,"message":${documents[0]},"duplicate":true}`);
    stored("a b", later.message);

    for (const change of [{ message: "twice" }, { receiverId: c }]) {
      const [answer] = await phone.ask("send_message", { ...payload, ...change });
      assertError(answer, "idempotency_conflict");
    }
    const [answer] = await receiver.ask("send_message", { ...payload, receiverId: a });
    assert.equal(answer.duplicate, false, "ids of another sender are other ids");
    stored("a b", answer.message);
  });

  await check("everyone hears what concerns them, once, in order, and nothing else", async () => {
    // Fences: once these arrive, everything before them has.
    const fences = [await phone.send(c, "fence"), await phone.send(b, "fence"), await receiver.send(a, "fence")];
    stored("a c", fences[0]);
    stored("a b", fences[1]);
    stored("a b", fences[2]);
    await third.hears(`receive_message_${c}`, ({ _id }) => _id === fences[0]._id);
    for (const device of [receiver, receiverToo]) {
      await device.hears(`receive_message_${b}`, ({ _id }) => _id === fences[1]._id);
    }
    for (const device of [phone, laptop]) {
      await device.hears(`receive_message_${a}`, ({ _id }) => _id === fences[2]._id);
    }
    await receiverToo.hears("message_sent", ({ _id }) => _id === fences[2]._id);

    const told = (device) => device.heard.map(([event, document, ...rest]) => {
      assert.deepEqual(rest, [], "an event has one argument");
      return [event, document.message];
    });
    assert.deepEqual(told(third), [[`receive_message_${c}`, "fence"]]);
    const first = "Hi! ¿cómo estás? 你好 👋🏽 \"quoted\" \\ back\nline\ttab </script> \u2028 \u0000 .";
    const toB = [first, "as the old clients do", "forged", "SHOUTED", "once", "fence"];
    assert.deepEqual(told(receiver), toB.map((text) => [`receive_message_${b}`, text]));
    const byB = ["fine", "once", "fence"];
    const sentByB = told(receiverToo).filter(([event]) => event === "message_sent");
    assert.deepEqual(sentByB, byB.map((text) => ["message_sent", text]));
    assert.equal(receiverToo.heard.length, toB.length + byB.length);
    // What this very device sent is not told to it again, save by the acknowledgement.
    const toA = ["fine", "note to self", "once", "fence"];
    assert.deepEqual(told(phone), toA.map((text) => [`receive_message_${a}`, text]));
  });
});
