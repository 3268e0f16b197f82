// Bad inputs, one after the other, and what is answered to each. What should be is for whoever runs this to know.
// Argument: url, token, tokens [[name, token]], events [[event, arguments]], options [[name, options of the client]],
// handshakes [[method, query, headers, body]], packets [[frames]].
// Reports {part, row, got}. An object of one field stands for what is too large to be passed: {$times: [count, text]},
// {$deep: brackets}, {$bytes: text}.
"use strict";
const WebSocket = require("ws");
const { Device, http, report, scenario } = require("./client.js");

/** How long an answer may take; none at all is a fault. */
const TIMEOUT = 60_000;

function expanded(value) {
  if (Array.isArray(value)) return value.map(expanded);
  if (value === null || typeof value !== "object") return value;
  if (value.$times) return value.$times[1].repeat(value.$times[0]);
  if (value.$deep) return JSON.parse("[".repeat(value.$deep) + "]".repeat(value.$deep));
  if (value.$bytes) return Buffer.from(value.$bytes);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, expanded(one)]));
}

function within(promise) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, TIMEOUT, "no answer"); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The code of an error that has all parts of one. */
function code(error) {
  const whole = typeof error?.code === "string" && typeof error.message === "string" && error.message.length < 1_000;
  return whole ? error.code : `no error: ${JSON.stringify(error)?.slice(0, 200)}`;
}

function acknowledged(device, event, args) {
  return within(new Promise((resolve) => {
    device.socket.once("disconnect", (reason) => resolve(`disconnected: ${reason}`));
    device.socket.emit(event, ...args, (...answer) => resolve(answer.length === 1 ? code(answer[0].error) : answer));
  })).finally(() => device.socket.removeAllListeners("disconnect"));
}

function told(device, event, args) {
  return within(new Promise((resolve) => {
    device.socket.once("disconnect", (reason) => resolve(`disconnected: ${reason}`));
    device.socket.once("request_failed", ({ error }) => resolve(code(error)));
    device.socket.emit(event, ...args);
  })).finally(() => device.socket.removeAllListeners("disconnect"));
}

/** How a client that asks to connect is answered. */
async function connecting(home, transport, { url = home, ...options }) {
  const device = new Device(url, transport, options.auth, options);
  const answer = await within(new Promise((resolve) => {
    device.socket.once("connect", () => resolve("let in"));
    device.socket.once("connect_error", (error) => resolve(error.data ? code(error.data) : error.message));
  }));
  device.close();
  return answer;
}

/** What a request is answered that a client of Engine.IO would not make: the status. */
async function handshake(url, [method, query, headers, body]) {
  const response = await fetch(`${url}/socket.io/${query}`, { method, headers, body: expanded(body) ?? undefined });
  await response.text();
  return response.status;
}

/** How a WebSocket that opens with these frames is refused, or that it is closed. */
function framed(url, token, frames) {
  return within(new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
    socket.on("error", () => {});
    socket.on("close", () => resolve("closed"));
    socket.on("message", (data) => {
      const text = String(data);
      if (text.startsWith("44")) {
        resolve(code(JSON.parse(text.slice(text.indexOf("{"))).data));
        socket.close();
      }
      if (!text.startsWith("0")) return;
      for (const frame of expanded(frames)) socket.send(typeof frame === "string" ? frame.replace("TOKEN", token) : frame);
    });
  }));
}

scenario(async ({ url, token, tokens, events, options, handshakes, packets }) => {
  for (const transport of ["websocket", "polling"]) {
    const device = await new Device(url, transport, { token }).connected();
    for (const [row, [event, args]] of events.entries()) {
      const whole = expanded(args);
      const name = expanded(event);
      report({ part: "events", row, got: await acknowledged(device, name, whole), by: transport });
      report({ part: "events", row, got: await told(device, name, whole), by: `${transport}, without a callback` });
    }
    const [settings] = await device.ask("update_settings", {});
    report({ part: "good", row: 0, got: settings.ok, by: transport });
    device.close();
    const refused = options.map(async ([, one], row) => {
      report({ part: "options", row, got: await connecting(url, transport, expanded(one)), by: transport });
    });
    await Promise.all(refused);
  }

  const holder = await new Device(url, "websocket", { token }).connected();
  await Promise.all(tokens.map(async ([, bad], row) => {
    const whole = expanded(bad);
    const connected = await connecting(url, "websocket", { auth: { token: whole } });
    report({ part: "tokens", row, got: connected, by: "connecting" });
    report({ part: "tokens", row, got: await acknowledged(holder, "refresh_token", [{ token: whole }]), by: "refresh_token" });
    const { status, body } = await http(url, "/users/me", whole);
    report({ part: "http", row, got: `${status} ${code(body.error)}`, by: "HTTP" });
  }));
  report({ part: "good", row: 1, got: (await holder.ask("conversations", {}))[0].ok, by: "after bad tokens" });
  holder.close();

  for (const [row, one] of handshakes.entries()) report({ part: "handshakes", row, got: await handshake(url, one), by: "fetch" });
  // Together, because some end only when their time to authenticate, or to be complete, is over.
  await Promise.all(packets.map(async ([frames], row) => {
    report({ part: "packets", row, got: await framed(url, token, frames), by: "ws" });
  }));
});
