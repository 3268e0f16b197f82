// Sends texts from one user to another, some at a time. Argument: url, token, receiver, texts or count,
// and perhaps transport and clientMessageId.
// Reports each acknowledgement as {answer}, its JSON text, in the order of sending.
"use strict";
const { Device, report, scenario } = require("./client.js");

const AT_ONCE = 200;

scenario(async ({ url, token, receiver, texts, count, transport = "websocket", clientMessageId }) => {
  const device = await new Device(url, transport, { token }).connected();
  texts ??= Array.from({ length: count }, (_, index) => `message ${index}`);
  for (let next = 0; next < texts.length; next += AT_ONCE) {
    const answers = await Promise.all(texts.slice(next, next + AT_ONCE).map((message) => {
      return device.ask("send_message", { receiverId: receiver, message, clientMessageId });
    }));
    for (const [answer] of answers) report({ answer: JSON.stringify(answer) });
  }
  device.close();
});
