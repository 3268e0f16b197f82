// isOnline and lastSeen follow the first and the last connection of a user.
// Argument: url, transport, users {a, b}, tokens {a, b}.
"use strict";
const assert = require("node:assert/strict");
const { Device, eventually, scenario } = require("./client.js");

scenario(async ({ url, transport, users, tokens }, check) => {
  const connect = (name = "a") => new Device(url, transport, { token: tokens[name] }).connected();
  const user = async (id) => {
    const answer = await fetch(`${url}/users/${id}`, { headers: { authorization: `Bearer ${tokens.b}` } });
    assert.equal(answer.status, 200);
    return answer.json();
  };
  const becomes = (isOnline, id = users.a) =>
    eventually(`isOnline: ${isOnline}`, async () => {
      const found = await user(id);
      return found.isOnline === isOnline && found;
    });

  // Only whoever has exchanged a message may see it.
  const stranger = await connect("b");
  await stranger.send(users.a, "so that they know each other");
  stranger.close();
  await becomes(false, users.b);

  await check("a user who never came is offline and was never seen", async () => {
    const found = await user(users.a);
    assert.equal(found.isOnline, false);
    assert.equal("lastSeen" in found, false);
    assert.equal((await user(users.b)).isOnline, false);
  });
  let came;
  const devices = [];
  await check("the first connection brings the user online", async () => {
    const before = new Date(Date.now() - 1000).toISOString();
    devices.push(await connect());
    came = await becomes(true);
    assert.match(came.lastSeen, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
    assert.ok(came.lastSeen >= before, `${came.lastSeen} is after ${before}`);
  });
  await check("further devices change nothing, neither coming nor going", async () => {
    devices.push(await connect(), await connect());
    devices.shift().close();
    devices.shift().close();
    // Another user's coming and going is seen later than whatever the leaving of those two did.
    const other = await connect("b");
    await becomes(true, users.b);
    other.close();
    await becomes(false, users.b);
    assert.deepEqual(await user(users.a), came);
    await devices[0].send(users.a, "still here");
  });
  await check("the last connection takes the user offline", async () => {
    devices.shift().close();
    const gone = await becomes(false);
    assert.ok(gone.lastSeen >= came.lastSeen);
  });
  await check("a connection that breaks off counts as ended", async () => {
    const device = await connect();
    await becomes(true);
    device.socket.io.engine.close();
    await becomes(false);
  });
  await check("coming and going at once ends offline", async () => {
    for (let round = 0; round < 10; round++) (await connect()).close();
    await becomes(false);
    const last = await connect();
    await becomes(true);
    last.close();
    await becomes(false);
  });
});
