// Clients that miss a message each, and come back with their cursors while the database is away.
// Argument: url, sender (a token), receivers [{id, token}]. Reports {away}, waits for a line, reports {connecting}, and
// {caughtUp}, a number of them.
"use strict";
const readline = require("node:readline");
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, sender, receivers }) => {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const friend = await new Device(url, "websocket", { token: sender }).connected();
  for (const receiver of receivers) {
    const device = await new Device(url, "websocket", { token: receiver.token }).connected();
    receiver.since = (await device.ok("sync", {})).next;
    device.close();
    receiver.missed = (await friend.send(receiver.id, "missed"))._id;
  }
  friend.close();
  report({ away: true });
  await lines.next();
  const devices = receivers.map(({ token, since }) => new Device(url, "websocket", { token, since }, { reconnection: true }));
  report({ connecting: true });
  await Promise.all(devices.map(async (device, index) => {
    const { id, missed } = receivers[index];
    await device.hears("sync_done", ({ hasMore }) => !hasMore);
    await device.hears(`receive_message_${id}`, ({ _id }) => _id === missed);
    device.close();
  }));
  report({ caughtUp: devices.length });
});
