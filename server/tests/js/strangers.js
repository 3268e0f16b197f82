// Lets many users write one message each to the same receiver, one after the other. Argument: url, tokens, receiver.
"use strict";
const { Device, scenario } = require("./client.js");

scenario(async ({ url, tokens, receiver }) => {
  for (const [index, token] of tokens.entries()) {
    const device = await new Device(url, "websocket", { token }).connected();
    await device.send(receiver, `from stranger ${index};`);
    device.close();
  }
});
