// Follows somebody, and reports how they are at first and then each change. Argument: url, token, user (whom).
"use strict";
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, token, user }) => {
  const device = await new Device(url, "websocket", { token }).connected();
  device.socket.on("presence", ({ isOnline }) => report({ isOnline }));
  await device.send(user, "so that they know each other");
  const { presence } = await device.ok("subscribe_presence", { userIds: [user] });
  report({ isOnline: presence[0].isOnline });
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
});
