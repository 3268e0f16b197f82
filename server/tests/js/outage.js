// Sends one message while the database is away. Argument: url, token, receiver, clientMessageId.
// Reports {connected}, waits for a line, sends, reports {answer}; waits for a line, sends until it is taken, reports
// {answer} of that.
"use strict";
const readline = require("node:readline");
const { Device, eventually, report, scenario } = require("./client.js");

scenario(async ({ url, token, receiver, clientMessageId }) => {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const device = await new Device(url, "websocket", { token }).connected();
  const send = async () => {
    const [answer] = await device.ask("send_message", { receiverId: receiver, message: "through it", clientMessageId });
    return answer;
  };
  report({ connected: true });
  await lines.next();
  report({ answer: await send() });
  await lines.next();
  report({ answer: await eventually("the message is taken", async () => {
    const answer = await send();
    return answer.ok && answer;
  }) });
});
