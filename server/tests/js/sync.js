// Catching up: pages, pushing on connect, cursors of live events. Argument: url, users {a, b, c}, tokens {a, b, c}.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, assertErrorBody, eventually, http, scenario } = require("./client.js");

scenario(async ({ url, users, tokens }, check) => {
  const { a, b, c } = users;
  const connect = (name, more = {}) => new Device(url, "websocket", { token: tokens[name], ...more }).connected();
  /** Every change since a cursor, each once, and the cursor after them. */
  const all = async (device, since, limit) => {
    const seen = new Map();
    let answer = { next: since, hasMore: true };
    while (answer.hasMore) {
      answer = await device.ok("sync", { since: answer.next, limit });
      assert.ok(answer.events.length <= limit * 2, "a marker is at most two events");
      for (const event of answer.events) seen.set(event.message?._id ?? JSON.stringify(event), event);
    }
    return { events: [...seen.values()], next: answer.next };
  };
  const texts = (events) => events.filter(({ type }) => type === "message").map(({ message }) => message.message);

  const ada = await connect("a");
  const bob = await connect("b");
  let begin;
  await check("without a cursor there is a fresh one, and the inbox", async () => {
    begin = await ada.ok("sync", {});
    assert.deepEqual(Object.keys(begin), ["ok", "events", "next", "hasMore", "inbox"]);
    assert.deepEqual([begin.events, begin.hasMore], [[], false]);
    assert.deepEqual(begin.inbox, { conversations: [], totalUnread: 0 });
  });

  await check("pages hold both directions, oldest first, and nothing of others", async () => {
    for (const number of [1, 2, 3]) {
      await ada.send(b, `to b ${number}`);
      await bob.send(a, `to a ${number}`);
      await bob.send(c, `to c ${number}`);
    }
    const expected = [1, 2, 3].flatMap((number) => [`to b ${number}`, `to a ${number}`]);
    const paged = await all(ada, begin.next, 2);
    assert.deepEqual(texts(paged.events), expected);
    for (const event of paged.events) assert.deepEqual(Object.keys(event), ["type", "message"]);
    const again = await all(ada, begin.next, 200);
    assert.deepEqual(again.events, paged.events);
    const overHttp = await http(url, `/chat/sync?since=${begin.next}&limit=200`, tokens.a);
    assert.equal(overHttp.status, 200);
    assert.deepEqual(overHttp.body.events, again.events);
    assert.equal(overHttp.body.ok, true);
    // What comes after a cursor is received, what lies before it at most once more.
    await bob.send(a, "later");
    assert.ok(texts((await all(ada, paged.next, 200)).events).includes("later"));
  });

  await check("receipts and settings are in the feed of whom they concern", async () => {
    const since = (await ada.ok("sync", {})).next;
    const theirs = (await bob.ok("sync", {})).next;
    const message = await ada.send(b, "read me");
    await bob.ok("mark_read", { peerId: a, upTo: message._id });
    await ada.ok("update_settings", { invisible: true });
    const last = await ada.ok("update_settings", { invisible: false });
    const mine = (await all(ada, since, 200)).events;
    const receipt = mine.find(({ type }) => type === "messages_read");
    assert.deepEqual({ ...receipt, at: "" }, { type: "messages_read", userId: b, peerId: a, upTo: message._id, at: "" });
    const settings = mine.filter(({ type }) => type === "settings").at(-1);
    assert.deepEqual(settings, { type: "settings", settings: last.settings });
    const others = (await all(bob, theirs, 200)).events;
    assert.deepEqual(others.find(({ type }) => type === "messages_read"), receipt, "one's own are there, too");
    assert.ok(!others.some(({ type }) => type === "settings"));
  });

  await check("who connects with a cursor is sent what was missed, then where to go on", async () => {
    const since = (await ada.ok("sync", {})).next;
    ada.close();
    const missed = [await bob.send(a, "missed 1"), await bob.send(a, "missed 2")];
    const back = await connect("a", { since });
    const done = await back.hears("sync_done");
    assert.equal(done.hasMore, false);
    // On connecting, and for a tool: the same version of the protocol.
    const about = await (await fetch(url)).json();
    assert.deepEqual([typeof done.protocol, done.protocol], ["number", about.protocol]);
    const told = back.heard.slice(0, back.heard.findIndex(([name]) => name === "sync_done"));
    const received = told.filter(([name]) => name === `receive_message_${a}`).map(([, message]) => message);
    assert.deepEqual(received.slice(-2), missed);
    const standing = await back.standing(b, ({ lastMessage }) => lastMessage._id === missed[1]._id);
    assert.ok(standing.unread >= 2);
    // From here on events say where to go on after them.
    const live = await bob.send(a, "live");
    await back.hears(`receive_message_${a}`, ({ _id }) => _id === live._id);
    const [, , resume] = back.heard.find(([, message]) => message._id === live._id);
    assert.deepEqual(Object.keys(resume), ["cursor"]);
    // A client that goes on from there misses nothing that came after.
    back.close();
    const last = await bob.send(a, "last");
    const third = await connect("a", { since: resume.cursor });
    await third.hears(`receive_message_${a}`, ({ _id }) => _id === last._id);
    await third.hears("sync_done");
    third.close();
  });

  await check("a client that knows nothing of it hears events of one argument", async () => {
    const old = await connect("a");
    const message = await bob.send(a, "as ever");
    await old.hears(`receive_message_${a}`, ({ _id }) => _id === message._id);
    for (const event of [...old.heard, ...old.updates]) assert.equal(event.length, 2, JSON.stringify(event));
    old.close();
  });

  await check("an empty cursor begins at once", async () => {
    const fresh = await connect("a", { since: "" });
    await fresh.hears("sync_done");
    assert.deepEqual(fresh.heard.map(([name]) => name), ["sync_done"]);
    const sent = await fresh.send(b, "from a device that has caught up");
    const other = await connect("a", { since: fresh.heard[0][1].next });
    await other.hears("message_sent", ({ _id }) => _id === sent._id);
    for (const device of [fresh, other]) device.close();
  });

  await check("more than is pushed is fetched", async () => {
    const since = (await bob.ok("sync", {})).next;
    const sender = await connect("c");
    bob.close();
    const count = 1_150;
    // As many at once as one connection may have unanswered.
    for (let sent = 0; sent < count; sent += 575) {
      await Promise.all(Array.from({ length: 575 }, (_, number) => sender.send(b, `many ${sent + number}`)));
    }
    const back = await connect("b", { since });
    const done = await back.hears("sync_done");
    assert.equal(done.hasMore, true);
    const pushed = back.heard.filter(([name]) => name === `receive_message_${b}`).map(([, { _id }]) => _id);
    // Not exactly 1,000: what came before, and what was pushed already, can be among the changes again.
    assert.ok(pushed.length > 0 && pushed.length < count, `${pushed.length} pushed`);
    const rest = await all(back, done.next, 200);
    const ids = new Set([...pushed, ...rest.events.map(({ message }) => message?._id)]);
    const history = await http(url, `/chat/history/${b}/${c}`, tokens.b);
    for (const { _id, message } of history.body) if (message.startsWith("many")) assert.ok(ids.has(_id), message);
    back.close();
    sender.close();
  });

  await check("a cursor that can't be used is told, never passed over", async () => {
    const device = await connect("a");
    for (const since of ["yesterday", "AQ", `${begin.next}A`, begin.next.replace(/^..../, "AQAA")]) {
      const [answer] = await device.ask("sync", { since });
      assertError(answer, "sync_reset", `${since}: `);
      const overHttp = await http(url, `/chat/sync?since=${since}`, tokens.a);
      assert.equal(overHttp.status, 410);
      assertErrorBody(overHttp.body.error, "sync_reset");
      const refused = await connect("a", { since });
      assert.equal(typeof (await refused.hears("sync_reset")).message, "string");
      const message = await device.send(a, "still heard");
      await refused.hears(`receive_message_${a}`, ({ _id }) => _id === message._id);
      assert.ok(refused.heard.every((event) => event.length === 2), "without cursors, because it has not caught up");
      refused.close();
    }
    for (const payload of [{ limit: 0 }, { limit: 201 }, { limit: "all" }, { since: 7 }]) {
      assertError((await device.ask("sync", payload))[0], "invalid_request", `${JSON.stringify(payload)}: `);
    }
    device.close();
  });

  await check("answers keep the order of the questions", async () => {
    const device = await connect("a");
    const order = [];
    const ask = (event, payload, name) => device.ok(event, payload).then(() => order.push(name));
    await Promise.all(Array.from({ length: 20 }, (_, number) => ask("sync", { limit: 1 + number }, number)));
    assert.deepEqual(order, [...order.keys()]);
    await eventually("nothing is left", () => true);
    device.close();
  });
});
