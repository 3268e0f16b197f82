// What a server with small limits says when they are reached.
// Argument: url, users {a, b}, tokens {a, b}, limits {messageBytes?, connections?, waiting?}; those named are tried.
// Reports {taken: [texts]} where `waiting` was tried.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, assertRefused, eventually, report, scenario } = require("./client.js");

scenario(async ({ url, users, tokens, limits }, check) => {
  const open = (name) => new Device(url, "websocket", { token: tokens[name] });
  const { messageBytes, connections, waiting } = limits;

  if (messageBytes) await check("a message has as many bytes as configured", async () => {
    const device = await open("a").connected();
    await device.send(users.b, "x".repeat(messageBytes));
    for (const text of ["x".repeat(messageBytes + 1), "é".repeat(messageBytes / 2) + "x"]) {
      const [answer] = await device.ask("send_message", { receiverId: users.b, message: text });
      assertError(answer, "message_too_long");
      assert.ok(answer.error.message.includes(String(messageBytes)), "the error names the limit");
    }
    device.close();
  });

  if (connections) await check("a user has as many connections as configured", async () => {
    const devices = await Promise.all(Array.from({ length: connections }, () => open("b").connected()));
    const error = await open("b").refused();
    assertRefused(error, "Too many connections", "too_many_connections");
    assert.ok(error.data.retryAfterMs > 0);
    await devices[0].send(users.b, "goes on");
    (await open("a").connected()).close();
    devices.shift().close();
    const another = await eventually("the place is free again", () => open("b").connected().catch(() => null));
    for (const device of [another, ...devices]) device.close();
  });

  if (waiting) await check("what is too much at once is refused, with a time to wait", async () => {
    const device = await open("a").connected();
    const texts = Array.from({ length: 1_000 }, (_, index) => `${index}`);
    const answers = await Promise.all(texts.map(async (text) => {
      return (await device.ask("send_message", { receiverId: users.b, message: text }))[0];
    }));
    const taken = texts.filter((_, index) => answers[index].ok);
    const refused = answers.filter(({ ok }) => !ok);
    assert.ok(taken.length > 0 && refused.length > 0, `${taken.length} taken, ${refused.length} refused`);
    for (const answer of refused) {
      assertError(answer, "overloaded");
      assert.ok(answer.error.retryAfterMs > 0);
    }
    await eventually("it is taken later", async () => {
      return (await device.ask("send_message", { receiverId: users.b, message: "later" }))[0].ok;
    });
    report({ taken: [...taken, "later"] });
    device.close();
  });
});
