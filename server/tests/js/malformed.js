// Every payload gets its answer, and nothing dies of it.
// Argument: url, transport, users {a, b}, tokens {a, b}, nobody (an id without a user), limit (bytes of a message).
"use strict";
const assert = require("node:assert/strict");
const { Device, assertDocument, assertError, assertErrorBody, scenario } = require("./client.js");

scenario(async ({ url, transport, users, tokens, nobody, limit }, check) => {
  const { a, b } = users;
  const connect = (name) => new Device(url, transport, { token: tokens[name] }).connected();
  const [device, receiver] = await Promise.all(["a", "b"].map(connect));
  const good = { receiverId: b, message: "good" };
  /** A send_message whose event, name and payload, has exactly so many bytes. */
  const sized = (bytes) => {
    const bare = Buffer.byteLength(JSON.stringify(["send_message", { ...good, ballast: "" }]));
    return [{ ...good, ballast: "x".repeat(bytes - bare) }];
  };
  const brackets = (depth) => "[".repeat(depth) + "]".repeat(depth);
  const nested = (depth) => JSON.parse(brackets(depth));

  /** name → [event, arguments, expected code] */
  const refusals = {
    "no payload": ["send_message", [], "invalid_request"],
    "null": ["send_message", [null], "invalid_request"],
    "a string": ["send_message", ["hello"], "invalid_request"],
    "an empty string": ["send_message", [""], "invalid_request"],
    "a number": ["send_message", [7], "invalid_request"],
    "a boolean": ["send_message", [true], "invalid_request"],
    "an array": ["send_message", [[b, "hello"]], "invalid_request"],
    "an empty object": ["send_message", [{}], "invalid_request"],
    "a deep array": ["send_message", [nested(1_000)], "invalid_request"],
    "a deep field": ["send_message", [{ ...good, message: nested(1_000) }], "invalid_request"],
    "no message": ["send_message", [{ receiverId: b }], "invalid_request"],
    "no receiver": ["send_message", [{ message: "hello" }], "invalid_request"],
    "a message that is null": ["send_message", [{ ...good, message: null }], "invalid_request"],
    "a message that is an object": ["send_message", [{ ...good, message: { $gt: "" } }], "invalid_request"],
    "a message that is an array": ["send_message", [{ ...good, message: ["hello"] }], "invalid_request"],
    "half a character": ["send_message", [{ ...good, message: "\ud83d" }], "invalid_request"],
    "a receiver that is null": ["send_message", [{ ...good, receiverId: null }], "invalid_request"],
    "a receiver that is a number": ["send_message", [{ ...good, receiverId: 7 }], "invalid_request"],
    "a receiver that is an object": ["send_message", [{ ...good, receiverId: { $ne: null } }], "invalid_request"],
    "an empty receiver": ["send_message", [{ ...good, receiverId: "" }], "invalid_id"],
    "a receiver of 12 letters": ["send_message", [{ ...good, receiverId: "twelveletter" }], "invalid_id"],
    "a receiver of 23 digits": ["send_message", [{ ...good, receiverId: b.slice(1) }], "invalid_id"],
    "a receiver of 25 digits": ["send_message", [{ ...good, receiverId: b + "0" }], "invalid_id"],
    "a receiver of 50,000 letters": ["send_message", [{ ...good, receiverId: "\"".repeat(25_000) }], "invalid_id"],
    "a receiver with a space": ["send_message", [{ ...good, receiverId: ` ${b.slice(1)}` }], "invalid_id"],
    "a receiver that is no user": ["send_message", [{ ...good, receiverId: nobody }], "user_not_found"],
    "an empty message": ["send_message", [{ ...good, message: "" }], "message_empty"],
    "a message of a byte too many": ["send_message", [{ ...good, message: "x".repeat(limit + 1) }], "message_too_long"],
    "a message of too many bytes in few characters":
      ["send_message", [{ ...good, message: "é".repeat(limit / 2) + "x" }], "message_too_long"],
    "a clientMessageId that is a number": ["send_message", [{ ...good, clientMessageId: 7 }], "invalid_request"],
    "an empty clientMessageId": ["send_message", [{ ...good, clientMessageId: "" }], "invalid_request"],
    "a clientMessageId of 65 characters":
      ["send_message", [{ ...good, clientMessageId: "é".repeat(65) }], "invalid_request"],
    "bytes": ["send_message", [Buffer.from("hello")], "invalid_request"],
    "bytes for a message": ["send_message", [{ ...good, message: Buffer.from("hello") }], "invalid_request"],
    "bytes and no more in an unknown event": ["hello", [Buffer.from("hello")], "unknown_event"],
    "a message above 64 KiB": ["send_message", [{ ...good, message: "x".repeat(70_000) }], "payload_too_large"],
    "an event of a byte too many": ["send_message", sized(65_537), "payload_too_large"],
    "an event of almost all that the transport takes": ["send_message", sized(1_048_000), "payload_too_large"],
    "an unknown event above 64 KiB": ["hello", ["x".repeat(70_000)], "payload_too_large"],
    "an unknown event": ["hello", [], "unknown_event"],
    "an unknown event with a long name": ["x".repeat(50_000), [good], "unknown_event"],
    "an unknown event with a payload": ["hello", [good, 7, null], "unknown_event"],
    "an event without a name": ["", [good], "unknown_event"],
    "an event that almost exists": ["Send_Message", [good], "unknown_event"],
    "an event of the server": [`receive_message_${b}`, [good], "unknown_event"],
    "an event of every object": ["__proto__", [good], "unknown_event"],
  };

  for (const [name, [event, args, code]] of Object.entries(refusals)) {
    await check(`${name}: answered`, async () => {
      const [answer, ...rest] = await device.ask(event, ...args);
      assertError(answer, code);
      assert.deepEqual(rest, []);
      assert.deepEqual(device.heard, [], "the acknowledgement is the only answer");
    });
  }
  await check("all of them at once: each answered, and a good one after them", async () => {
    const answers = Object.values(refusals).map(async ([event, args, code]) => {
      assertError((await device.ask(event, ...args))[0], code);
    });
    answers.push(device.send(b, "after them"));
    await Promise.all(answers);
  });

  for (const [name, [event, args, code]] of Object.entries(refusals)) {
    await check(`${name}, without a callback: told`, async () => {
      device.heard.length = 0;
      device.socket.emit(event, ...args);
      const failed = await device.hears("request_failed");
      assert.equal(failed.event, event.slice(0, 64));
      assertErrorBody(failed.error, code);
      assert.equal(device.heard.length, 1);
    });
  }
  // A stock client overflows its own stack before it has sent this, so the packets are written by hand.
  const deep = { "as a payload": "@", "as a field": `{"receiverId":"${b}","message":@}`, "as an unknown field": '{"x":@}' };
  for (const [name, payload] of Object.entries(deep)) {
    await check(`brackets 10,000 deep ${name}: told`, async () => {
      device.heard.length = 0;
      device.socket.io.engine.write(`2["send_message",${payload.replace("@", brackets(10_000))}]`);
      const failed = await device.hears("request_failed");
      assert.equal(failed.event, "send_message");
      assertErrorBody(failed.error, "invalid_request");
      assert.equal(device.heard.length, 1);
    });
  }
  await check("a failure without a callback names the clientMessageId", async () => {
    device.heard.length = 0;
    device.socket.emit("send_message", { receiverId: nobody, message: "lost?", clientMessageId: "the seventh" });
    const failed = await device.hears("request_failed");
    assert.deepEqual(Object.keys(failed), ["event", "clientMessageId", "error"]);
    assert.equal(failed.clientMessageId, "the seventh");
  });

  await check("the longest message is taken, in one, two and four bytes a character", async () => {
    for (const text of ["x".repeat(limit), "é".repeat(limit / 2), "👋".repeat(limit / 4)]) {
      assertDocument(await device.send(b, text), a, b, text);
      await receiver.hears(`receive_message_${b}`, ({ message }) => message === text);
    }
  });
  await check("the largest event is taken", async () => {
    const [answer] = await device.ask("send_message", ...sized(65_536));
    assert.equal(answer.ok, true, JSON.stringify(answer));
  });
  await check("the longest clientMessageId is taken", async () => {
    const [answer] = await device.ask("send_message", { ...good, clientMessageId: "é".repeat(64) });
    assert.equal(answer.ok, true);
  });
  await check("an event beyond what the transport allows ends this connection only", async () => {
    const other = await connect("a");
    other.socket.emit("send_message", { ...good, message: "x".repeat(2_000_000) });
    await other.disconnected();
    await device.send(b, "still here");
  });
  await check("the same connection still serves, and nothing refused was delivered", async () => {
    await device.send(b, "the end");
    await receiver.hears(`receive_message_${b}`, ({ message }) => message === "the end");
    const texts = receiver.heard.map(([event, { message }]) => [event, message.slice(0, 20)]);
    const expected = ["after them", "x".repeat(20), "é".repeat(20), "👋".repeat(10), "good", "good", "still here", "the end"];
    assert.deepEqual(texts, expected.map((text) => [`receive_message_${b}`, text]));
  });
});
