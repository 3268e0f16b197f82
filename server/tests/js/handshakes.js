// Handshakes in the many ways in which clients send their token, by both transports.
// Argument: url, user (id), refused and taken: [name, options of the client, event that is heard ("" for none), …].
"use strict";
const assert = require("node:assert/strict");
const { Device, scenario } = require("./client.js");

scenario(async ({ url, user, refused, taken }, check) => {
  for (const transport of ["polling", "websocket"]) {
    await Promise.all(refused.map(([name, options]) => check(`${transport}: refuses ${name}`, async () => {
      const begun = performance.now();
      const error = await new Device(url, transport, undefined, options).refused();
      assert.equal(error.message, "Authentication error");
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
