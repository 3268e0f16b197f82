// A reader that stops reading: whoever sends it much is told to wait, it is ended, and nobody else waits for it.
// Argument: url, users {a, b}, tokens {a, b}, bytes (of each message), most (messages until it must have ended).
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, eventually, report, scenario } = require("./client.js");

scenario(async ({ url, users, tokens, bytes, most }, check) => {
  const connect = (name) => new Device(url, "websocket", { token: tokens[name] }).connected();
  const [sender, stalled] = await Promise.all(["a", "b"].map(connect));
  // Before that they may not know of each other.
  await sender.send(users.b, "hello");
  const headers = { authorization: `Bearer ${tokens.a}` };
  const isOnline = async () => (await (await fetch(`${url}/users/${users.b}`, { headers })).json()).isOnline;
  await eventually("the reader is online", isOnline);

  // Below the stock client, as if its process were stopped: the kernel's buffers fill up, then the server's.
  stalled.socket.io.engine.transport.ws._socket.pause();
  await check("its sender is told to wait within a bounded number of messages", async () => {
    const message = "x".repeat(bytes);
    let [sent, refused] = [0, 0];
    while (refused === 0) {
      if (sent >= most) throw new Error(`nothing was refused of ${sent} messages`);
      const asked = Array.from({ length: 100 }, () => sender.ask("send_message", { receiverId: users.b, message }));
      for (const [answer] of await Promise.all(asked)) {
        if (answer.ok) continue;
        assertError(answer, "overloaded");
        assert.ok(answer.error.retryAfterMs > 0);
        refused += 1;
      }
      sent += 100;
    }
    report({ sent });
  });
  await check("it is ended", () => eventually("the reader is offline", async () => !(await isOnline())));
  await check("the sender goes on", () => sender.send(users.a, "and on"));
});
