// The stock client at another path. Argument: url, path, token, user (id).
"use strict";
const { Device, scenario } = require("./client.js");

scenario(async ({ url, path, token, user }, check) => {
  for (const transport of ["polling", "websocket", "upgrade"]) {
    await check(`${transport}: it connects and is answered`, async () => {
      const device = await new Device(url, transport, { token }, { path }).connected();
      await device.send(user, "I am in");
      device.close();
    });
  }
});
