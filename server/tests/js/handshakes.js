// Handshakes in the many ways in which clients send their token, by both transports.
// Argument: url, user (id), refused: [name, options of the client,
// code, word of the reason], taken: [name, options, event that is heard ("" for none)].
"use strict";
const assert = require("node:assert/strict");
const { Device, assertRefused, scenario } = require("./client.js");

scenario(async ({ url, user, refused, taken }, check) => {
  for (const transport of ["polling", "websocket"]) {
    await Promise.all(refused.map(([name, options, code, word]) => check(`${transport}: refuses ${name}`, async () => {
      const begun = performance.now();
      const error = await new Device(url, transport, undefined, options).refused();
      assertRefused(error, "Authentication error", code);
      assert.ok(error.data.message.includes(word), error.data.message);
      assert.ok(performance.now() - begun > 400, "whoever repeats it has to wait");
    })));
    for (const [name, options, event] of taken) await check(`${transport}: takes it ${name}`, async () => {
      const device = await new Device(url, transport, undefined, options).connected();
      if (event) await device.hears(event);
      await device.send(user, "I am in");
      device.close();
    });
  }
});
