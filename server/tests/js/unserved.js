// Clients that can't be served, as they connect. Argument: url, token.
"use strict";
const assert = require("node:assert/strict");
const WebSocket = require("ws");
const { Device, assertRefused, scenario } = require("./client.js");

scenario(async ({ url, token }, check) => {
  for (const transport of ["polling", "websocket"]) {
    await check(`${transport}: a path after the host is another namespace`, async () => {
      const error = await new Device(`${url}/chat`, transport, { token }).refused();
      assertRefused(error, "Invalid namespace", "invalid_namespace");
    });
    await check(`${transport}: other namespaces are refused beside the one that there is`, async () => {
      const device = await new Device(url, transport, { token }).connected();
      const others = ["/a", "/b", "/c"].map((name) => device.socket.io.socket(name, { auth: { token } }));
      const errors = await Promise.all(others.map((other) => new Promise((resolve) => {
        other.once("connect_error", resolve);
        other.connect();
      })));
      for (const error of errors) assertRefused(error, "Invalid namespace", "invalid_namespace");
      await device.ok("conversations", {});
      device.close();
    });
  }
  await check("a client of protocol 3 is refused", async () => {
    const answer = await fetch(`${url}/socket.io/?EIO=3&transport=polling`);
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /Unsupported protocol version/);
  });
  await check("a client with another parser is closed", async () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    // As socket.io-msgpack-parser has it: {"type":0,"data":{"token":"…"},"nsp":"/"}
    socket.on("message", () => socket.send(Buffer.from([0x83, 0xa4, 0x74, 0x79, 0x70, 0x65, 0x00])));
    await new Promise((resolve) => socket.on("close", resolve));
  });
  await check("a client that sends what is no packet is closed", async () => {
    const device = await new Device(url, "websocket", { token }).connected();
    device.socket.io.engine.send("2{}");
    await device.disconnected();
  });
});
