// Clients that are connected and send while the keys of their tokens change.
// Argument: url, clients [{token, receiver}].
// Reports {ready: true}. For each line {token} that it reads it tries to connect with it: {let_in: true or false}. When standard input
// ends: {ended: <connections that were lost>, sent, acknowledged}.
"use strict";
const readline = require("node:readline");
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, clients }) => {
  const devices = await Promise.all(clients.map(({ token }) => new Device(url, "websocket", { token }).connected()));
  let [ended, sent, acknowledged, stopping] = [0, 0, 0, false];
  for (const { socket } of devices) socket.on("disconnect", () => { ended += 1; });
  const sending = devices.map(async ({ socket }, index) => {
    while (!stopping) {
      sent += 1;
      const message = { receiverId: clients[index].receiver, message: `message ${sent}` };
      const answer = await socket.timeout(30_000).emitWithAck("send_message", message);
      if (answer.ok) acknowledged += 1;
    }
  });
  report({ ready: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const device = new Device(url, "websocket", { token: JSON.parse(line).token });
    const tried = await device.connected().then(() => true, () => false);
    device.close();
    report({ let_in: tried });
  }
  stopping = true;
  await Promise.all(sending);
  report({ ended, sent, acknowledged });
});
