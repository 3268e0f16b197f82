// A page of another origin in a browser, with the stock client: what CORS lets it do, how its connection becomes a WebSocket, comes back,
// and catches up after the server was restarted.
"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { Device, eventually, report, scenario } = require("./client.js");
const { assertClean, launch, open, TIMEOUT } = require("./browser.js");

const client = readFileSync(join(process.env.NODE_PATH, "socket.io-client/dist/socket.io.min.js"));
const html = `<!doctype html><html lang="en"><title>An app</title><link rel="icon" href="data:,"><script src="/client.js"></script>`;

/** The origin of an app that is not the server's. */
async function app() {
  const server = createServer((request, answer) => {
    const isClient = request.url === "/client.js";
    answer.setHeader("content-type", isClient ? "text/javascript" : "text/html");
    answer.end(isClient ? client : html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const told = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** Asks the Rust test to do something to the server, and waits until it is done. */
async function ask(what) {
  report({ ask: what });
  await told.next();
}

/** Connects in the page, and keeps there what happens. */
function connect({ url, token, me }) {
  const seen = (globalThis.seen = { transports: [], events: [], connects: 0, errors: [] });
  let cursor = "";
  const socket = (globalThis.socket = io(url, {
    auth: (pass) => pass({ token, since: cursor }), reconnectionDelay: 100, reconnectionDelayMax: 500,
  }));
  socket.on("connect", () => (seen.connects += 1));
  // The server can let it in after the upgrade only.
  socket.io.on("open", () => {
    const { engine } = socket.io;
    seen.transports.push(engine.transport.name);
    engine.on("upgrade", ({ name }) => seen.transports.push(name));
  });
  socket.on("connect_error", (error) => seen.errors.push(error.message));
  const ids = new Set();
  const keep = (message, at) => {
    // A message can come twice, live and in a page.
    if (!ids.has(message._id)) seen.events.push(message.message);
    ids.add(message._id);
    cursor = at?.cursor ?? cursor;
  };
  socket.on(`receive_message_${me}`, keep);
  socket.on("sync_done", ({ next }) => {
    cursor = next;
    seen.synced = (seen.synced ?? 0) + 1;
  });
}

scenario(async ({ url, refusing, chromium, a, b, tokenA, tokenB }, check) => {
  const browser = await launch(chromium);
  const elsewhere = await app();
  const opened = await open(browser, elsewhere.origin, { hosts: [new URL(url).host, new URL(refusing).host] });
  const { page } = opened;
  const until = (condition) => page.waitForFunction(condition, undefined, { timeout: TIMEOUT });
  try {
    await check("it reads answers over HTTP, errors too", async () => {
      const [status, name, refused] = await page.evaluate(async ([url, token]) => {
        const good = await fetch(`${url}/users/me`, { headers: { authorization: `Bearer ${token}`, "x-app": "1" } });
        const bad = await fetch(`${url}/users/me`, { headers: { authorization: "Bearer x" } });
        return [good.status, (await good.json())._id, (await bad.json()).error.code];
      }, [url, tokenA]);
      assert.deepEqual([status, name, refused], [200, a, "unauthorized"]);
    });
    await check("its connection begins with polling and goes over to WebSocket", async () => {
      await page.evaluate(connect, { url, token: tokenA, me: a });
      await until(() => globalThis.seen.synced === 1 && globalThis.seen.transports.includes("websocket"));
      assert.deepEqual(await page.evaluate(() => globalThis.seen.transports), ["polling", "websocket"]);
    });
    const sender = await new Device(url, "websocket", { token: tokenB }).connected();
    await check("it receives and sends", async () => {
      await sender.send(a, "one");
      await until(() => globalThis.seen.events.includes("one"));
      const answer = await page.evaluate((b) => globalThis.socket.emitWithAck("send_message", { receiverId: b, message: "two", clientMessageId: "2" }), b);
      assert.equal(answer.ok, true);
      await sender.hears(`receive_message_${b}`, ({ message }) => message === "two");
    });
    await check("it comes back when its line was cut, and catches up", async () => {
      await opened.context.setOffline(true);
      await page.evaluate(() => globalThis.socket.io.engine.close());
      await sender.send(a, "while it was away");
      await opened.context.setOffline(false);
      await until(() => globalThis.seen.connects >= 2 && globalThis.seen.events.includes("while it was away"));
    });
    sender.close();
    await check("it catches up after the server was restarted", async () => {
      const before = await page.evaluate(() => globalThis.seen.connects);
      await ask("stop");
      await until(() => !globalThis.socket.connected);
      await ask("start");
      const again = await new Device(url, "websocket", { token: tokenB }).connected();
      await again.send(a, "after the restart");
      await until(() => globalThis.seen.events.includes("after the restart"));
      assert.ok((await page.evaluate(() => globalThis.seen.connects)) > before);
      const events = await page.evaluate(() => globalThis.seen.events);
      assert.deepEqual(events, ["one", "while it was away", "after the restart"]);
      again.close();
    });
    await check("what it was refused meanwhile is all that its console shows", () =>
      assertClean(opened, /ERR_CONNECTION_REFUSED|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_SOCKET_NOT_CONNECTED|401 \(Unauthorized\)|WebSocket (connection to|is closed)/));
    await check("where its origin is not listed, it gets nothing", async () => {
      const [http, socket] = await page.evaluate(async ([url, token]) => {
        const http = await fetch(`${url}/users/me`, { headers: { authorization: `Bearer ${token}` } }).then(() => "answered", () => "refused");
        const outcome = (transport) => new Promise((resolve) => {
          const socket = io(url, { auth: { token }, transports: [transport], forceNew: true, reconnection: false });
          socket.once("connect", () => resolve("connected"));
          socket.once("connect_error", () => resolve("refused"));
        });
        return [http, [await outcome("polling"), await outcome("websocket")]];
      }, [refusing, tokenA]);
      assert.equal(http, "refused");
      assert.deepEqual(socket, ["refused", "refused"]);
    });
    await check("it gets no tokens of the playground", async () => {
      const got = await page.evaluate((url) =>
        fetch(`${url}/playground/tokens`, { method: "POST" }).then((answer) => answer.status, () => "refused"), url);
      assert.equal(got, 403);
    });
    await eventually("its page is still there", () => page.evaluate(() => true));
  } finally {
    await browser.close();
    elsewhere.close();
  }
});
