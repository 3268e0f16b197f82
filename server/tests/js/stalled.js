// A reader that stops reading: it is ended, and nobody else waits for it.
// Argument: url, users {a, b}, tokens {a, b}, bytes (of each message), most (messages until it must have ended).
"use strict";
const { Device, eventually, report, scenario } = require("./client.js");

scenario(async ({ url, users, tokens, bytes, most }, check) => {
  const connect = (name) => new Device(url, "websocket", { token: tokens[name] }).connected();
  const [sender, stalled] = await Promise.all(["a", "b"].map(connect));
  const headers = { authorization: `Bearer ${tokens.a}` };
  const isOnline = async () => (await (await fetch(`${url}/users/${users.b}`, { headers })).json()).isOnline;
  await eventually("the reader is online", isOnline);

  // Below the stock client, as if its process were stopped: the kernel's buffers fill up, then the server's.
  stalled.socket.io.engine.transport.ws._socket.pause();
  await check("it is ended within a bounded number of messages", async () => {
    const text = "x".repeat(bytes);
    let sent = 0;
    while (await isOnline()) {
      if (sent >= most) throw new Error(`still online after ${sent} messages`);
      await Promise.all(Array.from({ length: 100 }, () => sender.send(users.b, text)));
      sent += 100;
    }
    report({ sent });
  });
  await check("the sender goes on", () => sender.send(users.a, "and on"));
});
