// Settings that are changed while a client reads a page in which they are as they were before.
// Argument: url, users {a, b}, tokens {a, b}.
"use strict";
const assert = require("node:assert/strict");
const { Device, http, scenario } = require("./client.js");

// As many as a page holds, and more than goes to a client that does not read.
const MESSAGES = 31;
const BYTES = 16_000;

scenario(async ({ url, users, tokens }, check) => {
  const change = async (invisible) => {
    const answer = await http(url, "/users/me/settings", tokens.a, { method: "PATCH", body: JSON.stringify({ invisible }) });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.settings;
  };
  const bob = await new Device(url, "websocket", { token: tokens.b }).connected();
  const begun = await new Device(url, "websocket", { token: tokens.a, since: "" }).connected();
  const { next } = await begun.hears("sync_done");
  begun.close();

  await check("settings that came before others are told from them by their version", async () => {
    for (let index = 0; index < MESSAGES; index += 1) await bob.send(users.a, "x".repeat(BYTES));
    await change(true);
    const ada = new Device(url, "websocket", { token: tokens.a, since: next });
    await new Promise((first) => ada.socket.once(`receive_message_${users.a}`, first));
    const reading = ada.socket.io.engine.transport.ws._socket;
    reading.pause();
    const last = await change(false);
    reading.resume();
    await ada.hears("sync_done");
    const heard = ada.heard.filter(([name]) => name === "settings_updated").map(([, settings]) => settings);
    assert.equal(heard.length, 2, JSON.stringify(heard));
    assert.equal(heard.at(-1).invisible, true, "the page is read on after what was emitted meanwhile");
    const newest = heard.reduce((one, other) => (other.version < one.version ? one : other));
    assert.deepEqual(newest, last);
    assert.deepEqual((await ada.ok("update_settings", {})).settings, last);
    ada.close();
  });
  bob.close();
});
