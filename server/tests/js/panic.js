// Requests whose work panics on the server. Argument: url, token, event. Reports {before: <answer>}, waits for a line,
// reports {answer} of the same request, and {after} of one that does not panic.
"use strict";
const readline = require("node:readline");
const { Device, report, scenario } = require("./client.js");

scenario(async ({ url, token, event }) => {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const device = await new Device(url, "websocket", { token }).connected();
  report({ before: (await device.ask(event, {}))[0] });
  await lines.next();
  report({ answer: (await device.ask(event, {}))[0] });
  report({ after: (await device.ask("unsubscribe_presence", { userIds: [] }))[0] });
});
