// Keeps a perfect copy of a user's messages in a file, whatever fails: TOKEN=… node local_copy.js URL copy.json
const [fs, { io }] = [require("node:fs"), require("socket.io-client")];
const [token, url, file] = [process.env.TOKEN, ...process.argv.slice(2)];
const me = JSON.parse(Buffer.from(token.split(".")[1], "base64url")).userId;
const copy = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : { cursor: "", messages: {} };
let complete = false, saving = null; // Nothing is missing in front of what comes now. A write is due.
function keep(messages, cursor = copy.cursor) { // What comes a second time may be older than what is here.
  for (const one of messages) if (!(copy.messages[one._id]?.updatedAt > one.updatedAt)) copy.messages[one._id] = one;
  copy.cursor = cursor;
  saving ??= setImmediate(() => { // Messages and cursor together, whole or not at all; a burst is one write.
    saving = null;
    fs.writeFileSync(`${file}.new`, JSON.stringify(copy), { flush: true });
    fs.renameSync(`${file}.new`, file);
  });
}
const get = async (path) => (await fetch(url + path, { headers: { Authorization: `Bearer ${token}` } })).json();
async function begin() { // All of history. The list moves while it is read: in the second round nothing hides.
  for (let next = "", round = 0; round < 2; round += next ? 0 : 1) {
    const page = await get(`/chat/conversations?limit=200${next && `&cursor=${next}`}`);
    for (const { peerId } of page.conversations) keep(await get(`/chat/history/${me}/${peerId}`));
    next = page.next ?? "";
  }
}
async function catchUp({ next, hasMore }, id = socket.id) { // An answer that is an error lacks the fields, and throws.
  if (!copy.cursor) await begin();
  for (let page; hasMore; { next, hasMore } = page) {
    page = await socket.emitWithAck("sync", { since: next });
    keep(page.events.filter(({ type }) => type === "message").map(({ message }) => message));
  }
  if (socket.id === id) { complete = true; keep([], next); } // Another connection catches up by itself.
}
const socket = io(url, { auth: (pass) => pass({ token, since: copy.cursor }) });
const again = () => setTimeout(() => socket.disconnect().connect(), 1_000);
socket.onAny((event, payload, at) =>
  keep([`receive_message_${me}`, "message_sent"].includes(event) ? [payload] : [], complete ? at?.cursor : undefined));
socket.on("sync_done", (done) => catchUp(done).catch((error) => again(console.error(error.message))));
socket.on("sync_reset", () => again(keep([], "")));
socket.on("disconnect", (reason) => (complete = false, reason === "io server disconnect" && again()));
socket.on("connect_error", ({ message }) => socket.active || again(console.error(message))); // It was refused.
