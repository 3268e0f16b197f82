// A change of settings while the store hangs. Argument: url, token. Reports {connected}; waits for a line, changes settings and
// reports {answer}; then {told} once both devices, also the one that asked, have heard of the change.
"use strict";
const readline = require("node:readline");
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, token }) => {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const devices = [1, 2].map(() => new Device(url, "websocket", { token }));
  await Promise.all(devices.map((device) => device.connected()));
  report({ connected: true });
  await lines.next();
  const [answer] = await devices[0].ask("update_settings", { invisible: true });
  report({ answer });
  const told = devices.map((device) => device.hears("settings_updated", ({ invisible }) => invisible));
  await Promise.all(told);
  report({ told: true });
  devices.forEach((device) => device.close());
});
