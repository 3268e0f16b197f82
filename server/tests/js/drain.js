// Sends many messages at once and reports every answer as {ok, text, code?}, until the server ends the connection:
// then {disconnected: reason}. Argument: url, token, receiver, count.
"use strict";
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, token, receiver, count }) => {
  const device = await new Device(url, "websocket", { token }).connected();
  const end = device.disconnected();
  for (let index = 0; index < count; index++) {
    const text = `message ${index}`;
    device.socket.emit("send_message", { receiverId: receiver, message: text }, ({ ok, error }) => {
      report({ ok, text, code: error?.code });
    });
  }
  report({ disconnected: await end });
});
