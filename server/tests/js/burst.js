// Many messages from one socket without waiting. Argument: url, transport, users {a, b, c}, tokens, count.
// Reports {history}: the text that the history must have.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertDocument, report, scenario } = require("./client.js");

scenario(async ({ url, transport, users, tokens, count }, check) => {
  const { a, b, c } = users;
  const connect = (name) => new Device(url, transport, { token: tokens[name] }).connected();
  const [sender, receiver, third] = await Promise.all(["a", "b", "c"].map(connect));
  const texts = Array.from({ length: count }, (_, index) => `message ${index}`);

  const order = [];
  const sent = await Promise.all(texts.map(async (text) => {
    const document = await sender.send(b, text);
    order.push(text);
    return document;
  }));
  await check("every message is acknowledged, in order", () => {
    assert.deepEqual(order, texts);
    sent.forEach((document, index) => assertDocument(document, a, b, texts[index]));
  });
  await check("every message arrives, in order", async () => {
    await receiver.hearsInAll(count);
    const heard = receiver.heard.map(([event, document]) => [event, JSON.stringify(document)]);
    assert.deepEqual(heard, sent.map((document) => [`receive_message_${b}`, JSON.stringify(document)]));
  });
  await check("a third user hears nothing of it", async () => {
    await sender.send(c, "fence");
    await third.hears(`receive_message_${c}`);
    assert.deepEqual(third.heard.map(([event, { message }]) => [event, message]), [[`receive_message_${c}`, "fence"]]);
    assert.deepEqual(sender.heard, []);
  });
  report({ history: JSON.stringify(sent) });
});
