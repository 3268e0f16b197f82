// A chat client in a terminal. It keeps all conversations of its user in a file, and whatever fails, it misses
// nothing and sends nothing twice: not when it is killed, not when the server is.
//
//     npm install socket.io-client
//     TOKEN=… node client.mjs http://127.0.0.1:5000 copy.json RECEIVER
//
// It sends each line that you type to the user RECEIVER, an id, and prints what arrives. Without RECEIVER it only listens.
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, file, receiverId] = process.argv.slice(2);
const token = process.env.TOKEN;
const me = JSON.parse(Buffer.from(token.split(".")[1], "base64url")).userId;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// ---- The copy. One file holds all of it, so that its parts always fit each other. ----
const copy = {
  messages: {}, // every message, by its `_id`
  cursor: "", // everything that happened up to this point is in `messages`; only the server reads it
  unsent: {}, // what the server has not acknowledged yet, by `clientMessageId`
};
if (existsSync(file)) Object.assign(copy, JSON.parse(readFileSync(file, "utf8")));

let saving; // a write that is due: a burst of events is one write
const unconfirmed = new Map(); // of each sender the newest message that we have not confirmed yet
function save() {
  saving ??= setImmediate(() => {
    saving = undefined;
    writeFileSync(`${file}.new`, JSON.stringify(copy), { flush: true });
    renameSync(`${file}.new`, file); // the old copy or the new one, never half of it
    // The messages are safe now, so tell their senders. One call confirms all messages up to this one.
    for (const [peerId, { _id }] of unconfirmed) {
      socket.emit(peerId === receiverId ? "mark_read" : "mark_delivered", { peerId, upTo: _id });
    }
    unconfirmed.clear();
  });
}

// Takes a message into the copy. It can come twice, from the catching up and live, and the older version last.
function keep(message) {
  const { _id, sender, createdAt, updatedAt } = message;
  const known = copy.messages[_id];
  if (known?.updatedAt > updatedAt) return;
  copy.messages[_id] = message;
  if (!known) console.log(`${sender === me ? "me" : sender}: ${message.message}`);
  if (!known && sender !== me && !(unconfirmed.get(sender)?.createdAt > createdAt)) unconfirmed.set(sender, message);
  save();
}

// ---- Receive. ----
const socket = io(url, { auth: (pass) => pass({ token, since: copy.cursor }) }); // at each connection the newest cursor
const connectAgain = () => setTimeout(() => socket.disconnect().connect(), 1_000);
let complete = false; // this connection has given us everything that we missed
socket.onAny((_event, _payload, at) => {
  if (!complete || !at) return; // a cursor is worth nothing while older messages are missing
  copy.cursor = at.cursor;
  save();
});
socket.on(`receive_message_${me}`, keep);
socket.on("message_sent", keep); // by this user, on another device
for (const event of ["messages_delivered", "messages_read"]) {
  socket.on(event, async ({ userId, upTo }) => {
    await pause(0); // an answer that came together with it is handled first, and brings the message
    console.log(`${event} by ${userId} up to: ${copy.messages[upTo]?.message}`);
  });
}

// ---- Catch up. The server sends up to 1,000 missed changes as ordinary events, then `sync_done`. The rest we ask for. ----
async function catchUp({ next, hasMore }) {
  const connection = socket.id;
  if (!copy.cursor) await fetchHistory();
  while (hasMore) {
    const page = await socket.timeout(30_000).emitWithAck("sync", { since: next });
    if (!page.ok) throw new Error(page.error.message);
    for (const { type, message } of page.events) if (type === "message") keep(message);
    ({ next, hasMore } = page);
  }
  if (socket.id !== connection) return; // the connection was lost meanwhile; the next one catches up by itself
  complete = true;
  copy.cursor = next;
  save();
}
// What was there before our first cursor. The list is read twice: a conversation can change its place while we read.
async function fetchHistory() {
  const get = async (path) => (await fetch(url + path, { headers: { Authorization: `Bearer ${token}` } })).json();
  for (let next, round = 1; round <= 2; round += next ? 0 : 1) {
    const page = await get(`/chat/conversations?limit=200${next ? `&cursor=${next}` : ""}`);
    for (const { peerId } of page.conversations) (await get(`/chat/history/${me}/${peerId}`)).forEach(keep);
    next = page.next;
  }
}
socket.on("sync_done", (done) => {
  catchUp(done).catch((error) => {
    console.error(error.message);
    connectAgain();
  });
});
socket.on("sync_reset", () => { // the database is another one: begin anew
  copy.cursor = "";
  save();
  connectAgain();
});
socket.on("disconnect", (reason) => {
  complete = false;
  if (reason === "io server disconnect") connectAgain(); // after all other reasons the library does it
});
socket.on("connect_error", ({ message, data }) => {
  if (socket.active) return; // the network; the library tries again
  console.error(message, data?.code, data?.message);
  if (message === "Authentication error") process.exit(1); // here an app asks its backend for a new token
  connectAgain();
});

// ---- Send. A text is in the file before it is sent, and is sent until an answer comes. The server stores each
// `clientMessageId` once, so it does no harm if only the answer was lost. One at a time, so that they keep their order. ----
let sending = false;
async function sendAll() {
  if (sending) return;
  sending = true;
  for (let id; (id = Object.keys(copy.unsent)[0]);) {
    const request = { ...copy.unsent[id], clientMessageId: id };
    const answer = await socket.timeout(10_000).emitWithAck("send_message", request).catch(() => undefined);
    if (answer?.ok) keep(answer.message);
    else if (!answer || answer.error.retryAfterMs) { // no answer, or "later"
      await pause(answer?.error.retryAfterMs ?? 0);
      continue;
    } else console.error(`not sent: ${answer.error.message}`);
    delete copy.unsent[id];
    save();
  }
  sending = false;
}
if (receiverId) {
  createInterface({ input: process.stdin }).on("line", (message) => {
    copy.unsent[randomUUID()] = { receiverId, message };
    save();
    sendAll();
  });
}
sendAll(); // what a killed process left
