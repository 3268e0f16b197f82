// Many connections of a user who can't be caught up, and somebody else who asks meanwhile.
// Argument: url, token, since, count, other {token, since}. Reports {stillWaiting} and {ended}, each a number of them.
"use strict";
const { Device, eventually, report, scenario } = require("./client.js");

scenario(async ({ url, token, since, count, other }) => {
  const devices = Array.from({ length: count }, () => new Device(url, "websocket", { token, since }));
  await Promise.all(devices.map((device) => device.connected()));
  const connected = () => devices.filter(({ socket }) => socket.connected).length;
  const bystander = await new Device(url, "websocket", { token: other.token }).connected();
  await bystander.ok("sync", { since: other.since });
  report({ stillWaiting: connected() });
  await eventually("all are ended", () => connected() === 0 || undefined);
  report({ ended: count });
  bystander.close();
});
