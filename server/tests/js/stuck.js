// Requests that are under way when the server is stopped while its store hangs. Argument: url, token, receiver.
// Reports {marked: <answer>} once there is a message and it is marked; waits for a line, sends one request of each kind that
// writes, and reports {taken}; then {event, ok, code} for each answer, and {disconnected}.
"use strict";
const readline = require("node:readline");
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, token, receiver }) => {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const device = await new Device(url, "websocket", { token }).connected();
  const end = device.disconnected();
  const message = await device.send(receiver, "before");
  report({ marked: await device.ok("mark_read", { peerId: receiver, upTo: message._id }) });
  await lines.next();
  const later = { peerId: receiver, upTo: message._id };
  for (const [event, payload] of [
    ["send_message", { receiverId: receiver, message: "while it hangs" }],
    ["mark_delivered", later],
    ["update_settings", { invisible: true }],
  ]) {
    device.socket.emit(event, payload, ({ ok, error }) => report({ event, ok, code: error?.code }));
  }
  // Answered at once, so that the others have been read.
  await device.ask("unknown", {});
  report({ taken: true });
  report({ disconnected: await end });
});
