// Who is let in and who is not. Argument: url, transport, user (id), token (good), good (others), bad (name → token).
"use strict";
const assert = require("node:assert/strict");
const { Device, assertRefused, scenario } = require("./client.js");

scenario(async ({ url, transport, user, token, good, bad }, check) => {
  const code = (name) => {
    if (name.startsWith("expired")) return "token_expired";
    const nobody = ["a user that does not exist", "an administrator who is no user", "nobody"];
    return nobody.includes(name) ? "user_unknown" : "token_invalid";
  };
  const refused = async (name, auth, options) => {
    const error = await new Device(url, transport, auth, options).refused();
    assertRefused(error, "Authentication error", code(name));
  };
  const refusals = {
    "no auth at all": [undefined],
    "auth without a token": [{}],
    "a token that is null": [{ token: null }],
    "a token that is a number": [{ token: 7 }],
    "a token that is an object": [{ token: { token } }],
    "an empty token": [{ token: "" }],
    "a good token with a letter more": [{ token: token + "A" }],
    "a good token under another name": [{ jwt: token }],
    "a header of another scheme": [undefined, { extraHeaders: { authorization: `Basic ${token}` } }],
    "a bad token in the header": [undefined, { extraHeaders: { authorization: `Bearer ${bad.garbage}` } }],
  };
  for (const [name, token] of Object.entries(bad)) refusals[name] = [{ token }];
  await Promise.all(Object.entries(refusals).map(([name, refusal]) => check(`refuses ${name}`, () => refused(name, ...refusal))));

  await check("lets a good token in", async () => {
    const device = await new Device(url, transport, { token }).connected();
    await device.send(user, "I am in");
    device.close();
  });
  await check("lets tokens in that the secret signed by another algorithm", async () => {
    for (const token of good) (await new Device(url, transport, { token }).connected()).close();
  });
  await check("takes the token as a bearer header", async () => {
    const extraHeaders = { authorization: `Bearer ${token}` };
    const device = await new Device(url, transport, undefined, { extraHeaders }).connected();
    await device.send(user, "I am in");
    device.close();
  });
  await check("prefers the token in auth, as the replaced program knew no other", async () => {
    const extraHeaders = { authorization: `Bearer ${bad.garbage}` };
    (await new Device(url, transport, { token }, { extraHeaders }).connected()).close();
  });
  await check("lets a refused client in once it has a good token", async () => {
    const auth = {};
    const device = new Device(url, transport, (give) => give(auth));
    device.socket.disconnect();
    for (const name of ["garbage", "expired", "nobody"]) {
      auth.token = bad[name];
      const error = new Promise((resolve) => device.socket.once("connect_error", resolve));
      device.socket.connect();
      assertRefused(await error, "Authentication error", code(name));
    }
    auth.token = token;
    device.socket.connect();
    await device.connected();
    await device.send(user, "I am in");
    device.close();
  });
  await check("answers what is sent in the moment of connecting", async () => {
    const devices = Array.from({ length: 20 }, () => new Device(url, transport, { token }));
    // Emitted before the connection stands: the client sends them together with, or right after, its CONNECT.
    const sent = await Promise.all(devices.map((device, index) => device.send(user, `early ${index}`)));
    assert.equal(new Set(sent.map(({ _id }) => _id)).size, 20);
    for (const device of devices) device.close();
  });
});
