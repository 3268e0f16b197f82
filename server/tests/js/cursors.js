// Cursors of live events while a conversation waits to be told. Argument: url, users {a, b, c}, tokens {a, b, c}.
"use strict";
const assert = require("node:assert/strict");
const { Device, scenario } = require("./client.js");

scenario(async ({ url, users, tokens }, check) => {
  const { a, b, c } = users;
  const connect = async (name) => {
    const device = await new Device(url, "websocket", { token: tokens[name] }).connected();
    await device.ok("sync", {});
    return device;
  };
  const [ada, other, bob, eve] = await Promise.all(["a", "a", "b", "c"].map(connect));
  const cursorOf = (device, { _id }) => device.heard.find(([, message]) => message?._id === _id)[2].cursor;
  /** Eve writes to somebody; resolves to the cursor with which a device of theirs hears of it. */
  const heard = async (device, id) => {
    const message = await eve.send(id, "hello");
    await device.hears(`receive_message_${id}`, ({ _id }) => _id === message._id);
    return cursorOf(device, message);
  };

  // Told at once, and then left alone for a second; so what comes next waits.
  const [first, second] = [await bob.send(a, "one"), await bob.send(a, "two")];
  await ada.ok("mark_read", { peerId: b, upTo: first._id });
  await other.standing(b, ({ readUpTo }) => readUpTo === first._id);
  await ada.ok("mark_read", { peerId: b, upTo: second._id });

  await check("a mark that waits to be told holds nobody else's cursors back", async () => {
    assert.notEqual(await heard(bob, b), await heard(bob, b));
  });

  await check("a client that did not receive it is given no cursor after it", async () => {
    const since = await heard(other, a);
    const { events } = await other.ok("sync", { since });
    const told = events.some(({ type, upTo }) => type === "messages_read" && upTo === second._id);
    const isTold = other.updates.some(([, { readUpTo }]) => readUpTo === second._id);
    assert.ok(told || isTold, "neither emitted nor in what comes after the cursor");
    await other.standing(b, ({ readUpTo }) => readUpTo === second._id);
  });

  await check("once it was told, their cursors go on", async () => {
    await heard(other, a);
    assert.notEqual(await heard(other, a), await heard(other, a));
  });
  for (const device of [ada, other, bob, eve]) device.close();
});
