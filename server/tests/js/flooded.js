// A reader that is flooded by one sender while it does not read: a friend's messages are taken and heard all the same.
// Argument: url, users {a, b}, tokens {a, b}, friend (a third user's token), bytes (of each message of the flood), most
// (messages of the flood until some must have been refused).
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, scenario } = require("./client.js");

const FRIENDLY = 34;

scenario(async ({ url, users, tokens, friend, bytes, most }, check) => {
  const connect = (token) => new Device(url, "websocket", { token }).connected();
  const [flooder, flooded, friendly] = await Promise.all([tokens.a, tokens.b, friend].map(connect));
  const reading = flooded.socket.io.engine.transport.ws._socket;
  reading.pause();

  await check("the flood is refused, with a time to wait", async () => {
    const message = "x".repeat(bytes);
    let [sent, refused] = [0, 0];
    while (refused === 0) {
      if (sent >= most) throw new Error(`nothing was refused of ${sent} messages`);
      const asked = Array.from({ length: 100 }, () => flooder.ask("send_message", { receiverId: users.b, message }));
      for (const [answer] of await Promise.all(asked)) {
        if (answer.ok) continue;
        assertError(answer, "overloaded");
        assert.ok(answer.error.retryAfterMs > 0);
        refused += 1;
      }
      sent += 100;
    }
  });
  await check("a friend's messages are taken", async () => {
    for (let index = 0; index < FRIENDLY; index += 1) await friendly.send(users.b, `friend ${index}`);
  });
  reading.resume();
  await check("they are heard on the same connection", async () => {
    for (let index = 0; index < FRIENDLY; index += 1) {
      await flooded.hears(`receive_message_${users.b}`, ({ message }) => message === `friend ${index}`);
    }
    assert.ok(flooded.socket.connected);
  });
  for (const device of [flooder, flooded, friendly]) device.close();
});
