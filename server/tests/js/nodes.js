// Two servers of one database: settings that are changed on one of them.
// Argument: urls {one, two}, users {a, b}, tokens {a, b}.
"use strict";
const assert = require("node:assert/strict");
const { Device, scenario } = require("./client.js");

scenario(async ({ urls, users, tokens }, check) => {
  const connect = (node, name, more = {}) =>
    new Device(urls[node], "websocket", { token: tokens[name], ...more }).connected();
  const [bob, bobs] = [await connect("one", "b"), await connect("two", "b", { since: "" })];
  const ada = await connect("two", "a");
  await ada.send(users.b, "so that they know each other");
  await bobs.hears("sync_done");
  const told = (device) => device.heard.filter(([name]) => name === "settings_updated");

  await check("whoever turns invisible on one node is offline for followers on the other", async () => {
    const { presence } = await ada.ok("subscribe_presence", { userIds: [users.b] });
    assert.equal(presence[0].isOnline, true);
    await bob.ok("update_settings", { invisible: true });
    const hidden = await ada.hears("presence", ({ isOnline }) => !isOnline);
    assert.deepEqual(hidden, { userId: users.b, isOnline: false });
    // Told is how they are then, so a change that is taken back at once can go unheard.
    await bobs.hears("settings_updated", ({ invisible }) => invisible);
    await bob.ok("update_settings", { invisible: false });
    await ada.hears("presence", ({ isOnline }) => isOnline);
  });

  await check("the user's own devices on the other node hear of it, with a cursor", async () => {
    await bobs.hears("settings_updated", ({ invisible }) => !invisible);
    for (const [, , at] of told(bobs)) assert.equal(typeof at.cursor, "string");
    assert.deepEqual(told(bob), [], "the one that changed them has the answer");
  });

  await check("changes on both nodes, one after the other, end as the last one", async () => {
    for (let round = 0; round < 10; round++) {
      const [changes, last] = [[bob, bobs], round % 2 === 0];
      await changes[round % 2].ok("update_settings", { readReceipts: !last });
      await changes[1 - (round % 2)].ok("update_settings", { readReceipts: last });
    }
    // What the other node was told of before this was told, too.
    const { settings } = await bob.ok("update_settings", { readReceipts: false, invisible: true });
    await bobs.hears("settings_updated", ({ readReceipts, invisible }) => !readReceipts && invisible);
    assert.deepEqual(told(bobs).at(-1)[1], settings);
  });
});
