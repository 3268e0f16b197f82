// What every script shares: devices (connections of the stock client) that keep all they hear, and checks that
// are reported to the Rust test as one JSON line each. What is checked stands in the scripts.
"use strict";
const assert = require("node:assert/strict");
const { setTimeout: pause } = require("node:timers/promises");
const { io } = require("socket.io-client");

/** How long anything may take before it counts as lost; slow machines are meant to pass. */
const TIMEOUT = 60_000;

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${TIMEOUT} ms: ${what}`)), TIMEOUT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * One connection. `heard` holds every event in the order of arrival, each as [name, ...arguments]; those that say how a
 * conversation stands are apart, in `updates`, because how often they come depends on time.
 */
class Device {
  constructor(url, transport, auth, options = {}) {
    this.heard = [];
    this.updates = [];
    this.wakers = new Set();
    this.socket = io(url, {
      auth,
      transports: TRANSPORTS[transport],
      forceNew: true,
      reconnection: false,
      timeout: TIMEOUT,
      ...options,
    });
    this.socket.onAny((...event) => {
      (event[0] === "conversation_updated" ? this.updates : this.heard).push(event);
      for (const wake of this.wakers) wake();
    });
  }

  /** Resolves once the server has let it in. */
  connected() {
    return within("connect", new Promise((resolve, reject) => {
      if (this.socket.connected) return resolve(this);
      this.socket.once("connect", () => resolve(this));
      this.socket.once("connect_error", (error) => reject(new Error(`connect_error: ${error.message}`)));
    }));
  }

  /** Resolves to the error with which the server refuses it. */
  refused() {
    return within("connect_error", new Promise((resolve, reject) => {
      this.socket.once("connect_error", resolve);
      this.socket.once("connect", () => reject(new Error("it was let in")));
    })).finally(() => this.close());
  }

  /** Emits an event and resolves to the arguments of its acknowledgement. */
  ask(event, ...args) {
    return within(`the answer to ${event}`, new Promise((resolve, reject) => {
      this.socket.once("disconnect", (reason) => reject(new Error(`disconnected instead of an answer: ${reason}`)));
      this.socket.emit(event, ...args, (...answer) => resolve(answer));
    }));
  }

  /** Sends a message and resolves to the stored document; any other answer is an error. */
  async send(receiverId, message, more = {}) {
    const [answer, ...rest] = await this.ask("send_message", { receiverId, message, ...more });
    assert.deepEqual(rest, [], "an acknowledgement has one argument");
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer.message;
  }

  /** Resolves to the first event, past or future, of this name that `fits` its first argument. */
  hears(name, fits = () => true) {
    const find = () => [...this.heard, ...this.updates].find(([event, argument]) => event === name && fits(argument));
    return within(`hearing ${name}`, new Promise((resolve) => {
      const wake = () => {
        const event = find();
        if (event) {
          this.wakers.delete(wake);
          resolve(event[1]);
        }
      };
      this.wakers.add(wake);
      wake();
    }));
  }

  /** Emits an event and resolves to its answer, which must be a good one. */
  async ok(event, payload) {
    const [answer] = await this.ask(event, payload);
    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Resolves once the last thing that was told of the conversation with a peer `fits`. */
  async standing(peerId, fits) {
    const last = () => this.updates.map(([, update]) => update).filter((update) => update.peerId === peerId).at(-1);
    return eventually(`a conversation_updated that fits, not ${JSON.stringify(last())}`, () => {
      const update = last();
      return update && fits(update) ? update : undefined;
    });
  }

  /** Resolves once `count` events have been heard in all. */
  hearsInAll(count) {
    return within(`${count} events`, new Promise((resolve) => {
      const wake = () => {
        if (this.heard.length >= count) {
          this.wakers.delete(wake);
          resolve(this.heard);
        }
      };
      this.wakers.add(wake);
      wake();
    })).catch((error) => {
      throw new Error(`${error.message}; heard ${this.heard.length}`);
    });
  }

  /** Resolves to the reason for which it was disconnected. */
  disconnected() {
    return within("disconnect", new Promise((resolve) => this.socket.once("disconnect", resolve)));
  }

  close() {
    this.socket.disconnect();
  }
}

/** Asks again and again until `condition` is met, for what the server does not announce. */
async function eventually(what, condition) {
  const end = Date.now() + TIMEOUT;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${TIMEOUT} ms: ${what}`);
    await pause(20);
  }
}

/** What an HTTP endpoint answers. */
async function http(url, path, token, options = {}) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(url + path, { ...options, headers });
  return { status: response.status, body: await response.json() };
}

function report(value) {
  process.stdout.write(JSON.stringify(value) + "\n");
}

/**
 * Runs a script: `body` gets the argument that the Rust test passed and `check(name, function)`, which runs one
 * check and reports whether it held. A check that fails does not keep the next from running.
 */
async function scenario(body) {
  const check = async (name, run) => {
    try {
      await run();
      report({ check: name });
    } catch (error) {
      report({ check: name, error: String(error?.stack ?? error) });
    }
  };
  try {
    await body(JSON.parse(process.argv[2]), check);
    report({ done: true });
    // The connections that are still open would keep the process; but what was reported must be out first.
    process.stdout.write("", () => process.exit(0));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

/** Asserts that an answer is an error of this code, and of the shape that every error has. */
function assertError(answer, code, context = "") {
  assert.equal(answer?.ok, false, `${context}${JSON.stringify(answer)}`);
  assert.deepEqual(Object.keys(answer), ["ok", "error"]);
  assertErrorBody(answer.error, code, context);
}

/** Asserts the inner part of an error. */
function assertErrorBody(error, code, context = "") {
  assert.equal(error?.code, code, `${context}${JSON.stringify(error)}`);
  assert.equal(typeof error.message, "string");
  assert.ok(error.message.length > 0, "an error says something to people");
  assert.ok(error.message.length < 1_000, "an error repeats little of a long text");
  const known = ["code", "message", "retryAfterMs"];
  assert.deepEqual(Object.keys(error).filter((key) => !known.includes(key)), []);
}

/** Asserts that a client was refused with this message, and for this reason. */
function assertRefused(error, message, code) {
  assert.equal(error.message, message);
  assertErrorBody(error.data, code);
}

/** The exact text that a document of these parts has, with its own id and times. */
function documentText({ _id, createdAt }, sender, receiver, message) {
  return `{"_id":"${_id}","sender":"${sender}","receiver":"${receiver}","message":${JSON.stringify(message)},` +
    `"createdAt":"${createdAt}","updatedAt":"${createdAt}","__v":0}`;
}

/** Asserts that a document is, to the letter, what existing clients rely on. */
function assertDocument(document, sender, receiver, message) {
  assert.match(document._id, /^[0-9a-f]{24}$/);
  assert.match(document.createdAt, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  assert.equal(JSON.stringify(document), documentText(document, sender, receiver, message));
}

module.exports = { Device, assertDocument, assertError, assertErrorBody, assertRefused, eventually, http, report, scenario };
