// Connects devices, reports {connected: <count>}, and stays until its standard input ends. Argument: url, tokens.
"use strict";
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, tokens }) => {
  const devices = tokens.map((token) => new Device(url, "websocket", { token }));
  await Promise.all(devices.map((device) => device.connected()));
  report({ connected: devices.length });
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
});
