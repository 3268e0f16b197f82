// What clients of the replaced program send, and what it took or dropped in silence.
// Argument: url, transport, users {a, b}, token (of a), scalars: [value, text that is stored].
"use strict";
const assert = require("node:assert/strict");
const { Device, assertDocument, assertError, scenario } = require("./client.js");

scenario(async ({ url, transport, users: { a, b }, token, scalars }, check) => {
  const device = await new Device(url, transport, { token }).connected();
  for (const [value, text] of scalars) await check(`${JSON.stringify(value)} is stored as its text`, async () => {
    assertDocument(await device.send(b, value), a, b, text);
  });
  await check("half a character is named", async () => {
    for (const message of ["\ud83d", "a\udc00b", "\ud83d\\"]) {
      const [answer] = await device.ask("send_message", { receiverId: b, message });
      assertError(answer, "invalid_request");
      assert.match(answer.error.message, /^message: half a character/);
    }
  });
  await check("binary beside a text is not dropped in silence", async () => {
    const payloads = [[{ receiverId: b, message: "with a file", file: Buffer.from("hello") }],
      [{ receiverId: b, message: "with a file" }, new Uint8Array(3)]];
    for (const payload of payloads) {
      const [answer] = await device.ask("send_message", ...payload);
      assertError(answer, "invalid_request");
      assert.match(answer.error.message, /^binary is not taken/);
    }
  });
  const names = [12, 4294967295, -1.5, "a\"b", "a\\b", "a\u0001b", "\\", "\"\"", "line\nbreak", 7];
  for (const name of names) await check(`an event called ${JSON.stringify(name)} is answered`, async () => {
    assertError((await device.ask(name, { receiverId: b, message: "lost" }))[0], "unknown_event");
    assertError((await device.ask(name, Buffer.from("\"[7,"), "b"))[0], "unknown_event");
  });
  await check("an event called by a number is told of, without an acknowledgement", async () => {
    device.socket.emit(17, { receiverId: b });
    assert.equal((await device.hears("request_failed")).error.code, "unknown_event");
  });
  await check("an event too large is answered, up to 1 MiB", async () => {
    for (const length of [70_000, 131_072, 200_000, 1_000_000]) {
      const [answer] = await device.ask("send_message", { receiverId: b, message: "x".repeat(length) });
      assertError(answer, "payload_too_large");
    }
    const [answer] = await device.ask("send_message", { receiverId: b, message: "a file", file: Buffer.alloc(600_000) });
    assertError(answer, "payload_too_large");
  });
  await check("the same connection goes on", async () => {
    await device.send(b, "the end");
    device.close();
  });
});
