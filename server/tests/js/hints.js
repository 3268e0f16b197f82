// What the stock client is told about its mistakes, once for each connection and kind; and that one without mistakes is told nothing.
"use strict";
const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { setTimeout: pause } = require("node:timers/promises");
const { Device, report, scenario } = require("./client.js");
const old = require("socket.io-client-4.7");

const hints = (device) => device.heard.filter(([event]) => event === "dev_hint").map(([, hint]) => hint);
const codes = (device) => hints(device).map(({ code }) => code);

scenario(async ({ url, a, b, token, endless, off }, check) => {
  const connect = (auth, options) => new Device(url, "websocket", auth, options).connected();
  /** All that was sent before its answer was. */
  const settled = (device) => device.ok("update_settings", {});

  if (off) {
    await check("nothing is said where hints are off", async () => {
      const device = await connect({ token });
      for (const text of ["x", "x"]) device.socket.emit("send_message", { receiverId: b, message: text });
      device.socket.emit("receive_message_" + b, {});
      await settled(device);
      assert.deepEqual(codes(device), []);
      device.close();
    });
    return;
  }
  await check("a client without mistakes is told nothing", async () => {
    for (const transport of ["polling", "websocket", "upgrade"]) {
      const device = await new Device(url, transport, { token }).connected();
      // Two that have the same text have ids of their own.
      for (const text of ["same", "same"]) await device.send(b, text, { clientMessageId: randomUUID() });
      await device.ok("mark_read", { peerId: b, upTo: (await device.send(b, "one", { clientMessageId: randomUUID() }))._id });
      assert.deepEqual(codes(device), [], transport);
      device.close();
    }
  });
  await check("no acknowledgement is asked", async () => {
    const device = await connect({ token });
    for (const text of ["1", "2", "3"]) device.socket.emit("send_message", { receiverId: b, message: text, clientMessageId: randomUUID() });
    await settled(device);
    assert.deepEqual(codes(device), ["no_acknowledgement"]);
    assert.match(hints(device)[0].message, /emitWithAck/);
    device.close();
  });
  await check("a repetition has no id, also on another connection", async () => {
    const [device, other] = [await connect({ token }), await connect({ token })];
    await device.send(b, "again");
    assert.deepEqual(codes(device), []);
    await other.send(b, "again");
    await other.send(b, "again");
    await settled(other);
    assert.deepEqual(codes(other), ["no_client_message_id"]);
    // Another text, another receiver, or the same with an id is none.
    await device.send(b, "something else");
    await device.send(a, "again", { clientMessageId: randomUUID() });
    await settled(device);
    assert.deepEqual(codes(device), []);
    device.close();
    other.close();
  });
  await check("events of the server, and rooms, are asked for", async () => {
    for (const event of [`receive_message_${b}`, "message_sent", "join"]) {
      const device = await connect({ token });
      const [answer] = await device.ask(event, { room: b });
      assert.equal(answer.error.code, "unknown_event");
      await settled(device);
      assert.deepEqual(codes(device), ["foreign_event"], event);
      assert.ok(hints(device)[0].message.includes(`receive_message_${a}`), "it says which event is one's own");
      device.close();
    }
    const device = await connect({ token });
    await device.ask("nothing_of_this_server", {});
    await settled(device);
    assert.deepEqual(codes(device), []);
    device.close();
  });
  await check("a token has no end", async () => {
    const device = await connect({ token: endless });
    await device.hears("dev_hint", ({ code }) => code === "token_without_end");
    await settled(device);
    assert.deepEqual(codes(device), ["token_without_end"]);
    device.close();
  });
  await check("the client is old", async () => {
    const socket = old.io(url, { auth: { token }, transports: ["polling"], forceNew: true, reconnection: false });
    const hint = await new Promise((resolve, reject) => {
      socket.once("dev_hint", resolve);
      socket.once("connect_error", reject);
    });
    assert.equal(hint.code, "outdated_client");
    socket.disconnect();
  });
  await pause(0);
  report({ told: true });
});
