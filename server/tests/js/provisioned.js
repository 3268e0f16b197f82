// Users who are created by their tokens. Argument: url, transport, ada (external id), tokens {ada, later, odd, long, plain},
// squatter, tool and admin (tokens).
"use strict";
const assert = require("node:assert/strict");
const { Device, assertRefused, http, scenario } = require("./client.js");

scenario(async ({ url, transport, ada, tokens, squatter, tool, admin }, check) => {
  const connect = (token) => new Device(url, transport, { token }).connected();
  const me = async (token) => (await http(url, "/users/me", token)).body;

  await check("many connections at once create one user", async () => {
    const devices = await Promise.all(Array.from({ length: 10 }, () => connect(tokens.ada)));
    const user = await me(tokens.ada);
    assert.deepEqual([user.externalId, user.displayName, user.avatarUrl], [ada, "Ada", "https://example.com/a.png"]);
    assert.match(user.username, /^Ada-[0-9a-f]{6}$/, "the name is another user's");
    for (const device of devices) await device.send(ada, "to myself");
    assert.equal((await http(url, `/chat/history/${user._id}/${user._id}`, tokens.ada)).body.length, 10);
    for (const device of devices) device.close();
  });
  await check("what a later token says is stored, and what can't be shown is not", async () => {
    const before = await me(tokens.ada);
    (await connect(tokens.later)).close();
    const user = await me(tokens.ada);
    assert.deepEqual([user._id, user.username], [before._id, before.username]);
    assert.deepEqual([user.displayName, user.avatarUrl], ["Ada L.", "https://example.com/a.png"]);
    (await connect(tokens.plain)).close();
  });
  await check("a name that none can have does no harm", async () => {
    for (const [token, shown] of [[tokens.odd, undefined], [tokens.long, "é".repeat(128)], [tokens.plain, undefined]]) {
      const device = await connect(token);
      const user = await me(token);
      assert.deepEqual([user.displayName, user.avatarUrl], [shown, undefined]);
      assert.match(user.username, /^(user|é{64}|user-[0-9a-f]{6}|é{57}-[0-9a-f]{6})$/);
      device.close();
    }
  });
  await check("nobody is created whose id is another user's, or stands for nobody", async () => {
    for (const token of [squatter, tool]) {
      const error = await new Device(url, transport, { token }).refused();
      assertRefused(error, "Authentication error", "user_unknown");
      assert.equal((await http(url, "/users/me", token)).status, 401);
    }
  });
  await check("an administrator is created where it takes part in the chat", async () => {
    assert.equal((await http(url, "/users/me", admin)).body.error.code, "user_not_found");
    (await connect(admin)).close();
    assert.equal((await http(url, "/users/me", admin)).status, 200);
  });
});
