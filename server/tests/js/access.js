// Users who are shut out: revoked tokens, bans, connections that an administrator ends, as the stock client sees it.
// Argument: urls {one, two, administration, administrationOfTwo} (one node, or two on one database), transport, users {a, b, c, d}, secret, admin.
"use strict";
const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const { setTimeout: pause } = require("node:timers/promises");
const { Device, assertError, eventually, http, scenario } = require("./client.js");

scenario(async ({ urls, transport, users, secret, admin }, check) => {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = () => Math.floor(Date.now() / 1_000);
  const mint = (user, claims = { iat: now() }) => {
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ userId: user, exp: now() + 600, ...claims })}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  };
  const post = (path, body, token = admin) =>
    http(urls.administration, path, token, { method: "POST", body: body && JSON.stringify(body) });
  const device = (token, url = urls.two, options = {}) => new Device(url, transport, { token }, options);
  const refusedWith = async (token, code, url = urls.two) => {
    const error = await device(token, url).refused();
    assert.equal(error.data?.code, code, `${error.message} ${JSON.stringify(error.data)}`);
    return error;
  };

  await check("revoking ends connections within a second, and refuses tokens of before and takes those of after", async () => {
    const old = mint(users.a);
    // Its auth function gives a new token each time, as that of an app does.
    let asked = 0;
    const auth = (pass) => {
      asked += 1;
      pass({ token: mint(users.a) });
    };
    const options = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 200, randomizationFactor: 0 };
    const fresh = await new Device(urls.two, transport, auth, options).connected();
    const fixed = await new Device(urls.one, transport, { token: old }, options).connected();
    const other = await device(mint(users.b)).connected();
    const sent = await fixed.send(users.b, "before");
    const ends = [fresh.disconnected(), fixed.disconnected()];
    const refused = new Promise((resolve) => fixed.socket.once("connect_error", resolve));
    const again = new Promise((resolve) => fresh.socket.io.once("reconnect", resolve));
    const begun = Date.now();
    const { status, body } = await post(`/admin/users/${users.a}/revoke`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.userId, users.a);
    assert.match(body.revokedBefore, /:\d\d\.000Z$/);
    assert.ok(Date.parse(body.revokedBefore) <= Date.now(), "it is answered when new tokens are good");
    const token = mint(users.a);
    for (const reason of await Promise.all(ends)) assert.match(reason, /^transport/);
    assert.ok(Date.now() - begun < 1_500, `after ${Date.now() - begun} ms`);
    for (const device of [fresh, fixed]) {
      const { code, message } = await device.hears("session_ended");
      assert.deepEqual([code, typeof message], ["token_revoked", "string"]);
    }
    for (const url of [urls.one, urls.two]) {
      await refusedWith(old, "token_revoked", url);
      assert.equal((await http(url, "/users/me", old)).status, 401);
      assert.equal((await http(url, "/users/me", token)).status, 200, "minted after the answer");
      (await device(token, url).connected()).close();
      await refusedWith(mint(users.a, {}), "token_revoked", url);
    }
    // Who can bring a new token comes back, and who can't is told so, once.
    await again;
    assert.equal((await refused).data.code, "token_revoked");
    assert.equal(asked, 2);
    await eventually("it is connected again", () => fresh.socket.connected);
    await fresh.send(users.b, "after");
    await other.hears(`receive_message_${users.b}`, ({ message }) => message === "after");
    const history = await http(urls.two, `/chat/history/${users.a}/${users.b}`, token);
    assert.equal(history.body[0]._id, sent._id, "what was acknowledged stays");
    assert.equal(other.socket.connected, true);
    assert.equal(fixed.socket.active, false, "it does not try again and again");
    for (const one of [fresh, fixed, other]) one.close();
  });

  await check("requests of a connection that is being ended get an error", async () => {
    const one = await device(mint(users.c)).connected();
    await one.ok("conversations", {});
    const ended = one.disconnected();
    const answers = [];
    const asking = (async () => {
      while (one.socket.connected) {
        one.socket.emit("conversations", {}, (answer) => answers.push(answer));
        await pause(5);
      }
    })();
    await post(`/admin/users/${users.c}/revoke`);
    await Promise.all([ended, asking]);
    const failed = answers.filter((answer) => !answer.ok);
    assert.ok(failed.length > 0, `none of ${answers.length}`);
    for (const answer of failed) assert.equal(answer.error.code, "token_revoked");
  });

  await check("a ban shuts out until it ends or is lifted", async () => {
    const token = mint(users.d);
    const banned = await device(token).connected();
    const ended = banned.disconnected();
    const until = new Date(Date.now() + 4_000).toISOString();
    const { status, body } = await post(`/admin/users/${users.d}/ban`, { until, reason: "rude" });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.userId, body.ban.until, body.ban.reason], [users.d, until, "rude"]);
    assert.match(await ended, /^transport/);
    const said = await banned.hears("session_ended");
    assert.deepEqual([said.code, said.until], ["banned", until]);
    for (const url of [urls.one, urls.two]) {
      const { message, data } = await refusedWith(token, "banned", url);
      assert.deepEqual([message, data.until, data.message.includes("rude")], ["Banned", until, true]);
      const answer = await http(url, "/users/me", mint(users.d));
      assert.equal(answer.status, 403);
      assert.deepEqual([answer.body.error.code, answer.body.error.until], ["banned", until]);
    }
    await pause(Math.max(0, Date.parse(until) - Date.now()));
    (await device(token).connected()).close();
    assert.equal((await post(`/admin/users/${users.d}/ban`)).status, 200);
    assert.equal("until" in (await refusedWith(token, "banned")).data, false);
    const lifted = await post(`/admin/users/${users.d}/unban`);
    assert.deepEqual(lifted, { status: 200, body: { userId: users.d } });
    (await device(token).connected()).close();
  });

  await check("an administrator sees connections, and ends one", async () => {
    const [one, two] = [await device(mint(users.b), urls.one).connected(), await device(mint(users.b), urls.one).connected()];
    await two.ok("conversations", {});
    const list = () => http(urls.administration, `/admin/users/${users.b}/connections`, admin);
    const { status, body } = await list();
    assert.equal(status, 200, JSON.stringify(body));
    assert.match(body.node, /:\d+$/);
    assert.equal(body.connections.length, 2);
    const [first, second] = body.connections;
    for (const connection of body.connections) {
      assert.deepEqual([connection.address, connection.transport], ["127.0.0.1", transport]);
      for (const time of [connection.since, connection.tokenExpiresAt]) assert.ok(Date.parse(time) > 0, time);
      assert.match(connection.id, /^[0-9a-f]{8}-\d+$/);
      assert.notEqual(connection.id, two.socket.id, "whoever knows that can poll in its place");
    }
    assert.equal("lastEvent" in first, false);
    assert.equal(second.lastEvent.name, "conversations");
    assert.ok(Math.abs(Date.parse(second.lastEvent.at) - Date.now()) < 10_000);
    const ended = two.disconnected();
    const end = (id, url = urls.administration) => http(url, `/admin/connections/${id}`, admin, { method: "DELETE" });
    assert.deepEqual(await end(second.id), { status: 200, body: { id: second.id } });
    assert.equal(await ended, "io server disconnect");
    assert.equal((await two.hears("session_ended")).code, "disconnected");
    await eventually("it is gone", async () => (await list()).body.connections.length === 1);
    assert.equal(one.socket.connected, true);
    for (const id of [second.id, "1", "00000000-1", "x"]) assert.equal((await end(id)).status, 404);
    if (urls.two !== urls.one) assert.equal((await end(first.id, urls.administrationOfTwo)).status, 404, "it is another node's");
    one.close();
  });

  await check("only administrators, only users, only what makes sense", async () => {
    const user = mint(users.b);
    const nobody = "eeeeeeeeeeeeeeeeeeeeeeee";
    const posts = ["revoke", "ban", "unban"].map((what) => [(id) => `/admin/users/${id}/${what}`, "POST"]);
    for (const [path, method] of [...posts, [(id) => `/admin/users/${id}/connections`, "GET"]]) {
      const asks = (id, token) => http(urls.administration, path(id), token, { method });
      const errors = [await asks(users.b, user), await asks(nobody, admin), await asks("x", admin), await asks(users.b, "x")];
      const found = errors.map(({ status, body }) => [status, body.error.code]);
      assert.deepEqual(found, [[403, "forbidden"], [404, "user_not_found"], [400, "invalid_id"], [401, "unauthorized"]], path(""));
    }
    const past = new Date(Date.now() - 1_000).toISOString();
    for (const body of [{ until: past }, { until: "soon" }, { until: 7 }, { reason: "x".repeat(201) }, { why: "x" }, []]) {
      const answer = await post(`/admin/users/${users.b}/ban`, body);
      assert.deepEqual([answer.status, answer.body.error.code], [400, "invalid_request"], JSON.stringify(body));
    }
    const ended = await http(urls.administration, "/admin/connections/00000000-1", user, { method: "DELETE" });
    assert.equal(ended.status, 403);
    (await device(user).connected()).close();
  });
});
