// Tokens that end while their connection is open, and others that take their place, as the stock client sees it.
// Argument: url, transport, expiry (live or connect), users {a, b}, secret.
"use strict";
const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const { setTimeout: pause } = require("node:timers/promises");
const { Device, assertError, eventually, scenario } = require("./client.js");

scenario(async ({ url, transport, expiry, users, secret }, check) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = () => Math.floor(Date.now() / 1_000);
  const mint = (user, seconds, key = secret) => {
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ userId: user, iat: now(), exp: now() + seconds })}`;
    return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
  };
  const exp = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).exp;
  const time = (token) => new Date(exp(token) * 1_000).toISOString();
  const device = (auth, options) => new Device(url, transport, typeof auth === "string" ? { token: auth } : auth, options);
  const passed = (token) => pause(exp(token) * 1_000 - Date.now() + 700);

  await check("another token is taken, of the same user and a good one", async () => {
    const one = await device(mint(users.a, 30)).connected();
    const next = mint(users.a, 40);
    for (const token of [next, ` ${next}\n`, `Bearer ${next}`]) {
      assert.deepEqual(await one.ask("refresh_token", { token }), [{ ok: true, expiresAt: time(next) }], token);
    }
    for (const [payload, code] of [
      [{ token: mint(users.b, 40) }, "forbidden"],
      [{ token: mint(users.a, 40, "another secret, as long as it should be") }, "token_invalid"],
      [{ token: mint(users.a, 0) }, "token_expired"],
      [{ token: mint("eeeeeeeeeeeeeeeeeeeeeeee", 40) }, "user_unknown"],
      [{ token: 7 }, "invalid_request"],
      [{}, "invalid_request"],
    ]) {
      const [answer] = await one.ask("refresh_token", payload);
      assertError(answer, code, JSON.stringify(payload));
    }
    await one.send(users.b, "still here");
    one.close();
  });

  if (expiry === "connect") {
    await check("the end of a token means nothing to a connection that is open", async () => {
      const token = mint(users.a, 2);
      const one = await device(token).connected();
      await passed(token);
      await one.send(users.a, "still here");
      assert.deepEqual(one.heard.map(([name]) => name).filter((name) => name.startsWith("token")), []);
      one.close();
      assert.equal((await device(token).refused()).data.code, "token_expired");
    });
    return;
  }

  await check("a connection is told a minute before, and goes on with another token without a gap", async () => {
    const first = mint(users.a, 4);
    const one = await device(first).connected();
    const other = await device(mint(users.b, 50)).connected();
    assert.deepEqual(await one.hears("token_expiring"), { expiresAt: time(first) });
    const second = mint(users.a, 63);
    await one.ok("refresh_token", { token: second });
    let sent = 0;
    while (now() < exp(first) + 1) await other.send(users.a, String(++sent));
    await eventually("all is heard", () => one.heard.filter(([name]) => name.startsWith("receive")).length === sent);
    assert.equal(one.socket.connected, true);
    assert.deepEqual(await one.hears("token_expiring", ({ expiresAt }) => expiresAt === time(second)), { expiresAt: time(second) });
    assert.ok(exp(second) - Date.now() / 1_000 <= 60.1, "not earlier");
    for (const device of [one, other]) device.close();
  });

  await check("a connection whose token has ended is closed, and comes back if it has a new one", async () => {
    const options = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 200, randomizationFactor: 0 };
    const fixed = mint(users.a, 2);
    const stays = await device({ token: fixed }, options).connected();
    const refused = new Promise((resolve) => stays.socket.on("connect_error", resolve));
    const tokens = [mint(users.b, 2)];
    const asks = device((pass) => pass({ token: tokens.at(-1) }), options);
    await asks.connected();
    tokens.push(mint(users.b, 50));
    const again = new Promise((resolve) => asks.socket.io.once("reconnect", resolve));
    const ended = [stays.disconnected(), asks.disconnected()];
    for (const reason of await Promise.all(ended)) assert.match(reason, /^transport/);
    for (const [device, token] of [[stays, fixed], [asks, tokens[0]]]) {
      assert.deepEqual(await device.hears("token_expired"), { expiresAt: time(token) });
    }
    assert.equal((await refused).data.code, "token_expired");
    assert.equal(stays.socket.active, false, "it does not try again and again");
    await again;
    await asks.send(users.a, "back");
    for (const device of [stays, asks]) device.close();
  });
});
