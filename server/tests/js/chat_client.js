// One device: the client of `shared/js` as it is installed from its package, driven by lines on standard input. Each line is
// `[command, argument]`, and is answered with one line.
"use strict";
const { createInterface } = require("node:readline");
const { ChatClient, IndexedDbStore, MemoryStore, viewConversation } = require("chat-client");
const { FileStore } = require("chat-client/file");

const { url, tokens, store: kind, path, options } = JSON.parse(process.argv[2]);
if (kind === "indexeddb") require("fake-indexeddb/auto");
/** A store whose disk is full while the test says so. */
class FullStore extends MemoryStore {
  full = false;
  async write(...changes) {
    if (this.full) throw new Error("no room");
    return super.write(...changes);
  }
}
const store =
  kind === "full" ? new FullStore() : kind === "file" ? new FileStore(path) : kind === "indexeddb" ? new IndexedDbStore("test") : new MemoryStore();

let asked = 0; // how often a token was asked for
const given = [...tokens];
const auth = async () => {
  asked += 1;
  return given.length > 1 ? given.shift() : given[0];
};
const client = new ChatClient({ url, auth, store, ...options });
const heard = [];
for (const name of ["status", "messages", "receipts", "conversations", "presence", "typing", "settings", "reset", "problem"]) {
  client.on(name, (payload) => {
    if (name === "status" || name === "problem") payload = { ...payload, error: payload.error?.code, code: payload.code };
    heard.push([name, payload]);
  });
}

const all = { limit: 1_000_000 };
const commands = {
  /** Every message of the copy, as the server has it. */
  copy: async () => (await store.list("m/", "m0")).map(([, { message }]) => message),
  messages: (peer) => client.messages(peer, all),
  page: ({ peer, ...page }) => client.messages(peer, page),
  conversations: () => client.conversations(),
  unread: () => client.unread(),
  send: ({ peer, text }) => client.send(peer, text),
  sendMany: async ({ peer, texts }) => (await Promise.all(texts.map((text) => client.send(peer, text)))).length,
  delivered: (message) => client.markDelivered(message),
  read: async (peer) => client.markRead((await client.messages(peer)).filter(({ id }) => id).at(-1)),
  typing: ({ peer, isTyping }) => client.typing(peer, isTyping),
  follow: (ids) => client.follow(ids),
  settings: (change) => (change ? client.updateSettings(change) : client.settings),
  retry: (key) => client.retry(key),
  discard: (key) => client.discard(key),
  status: () => ({ ...client.status, error: client.status.error?.code, asked, user: client.userId }),
  tokens: (more) => given.splice(0, given.length, ...more).length,
  full: (full) => void (store.full = full),
  connect: () => client.connect(),
  close: () => client.close(),
  heard: (name) => heard.filter(([event]) => event === name).map(([, payload]) => payload),
  gifted: async ({ peer, text }) => {
    const { giftedConversation } = require("chat-client/gifted-chat");
    return screen(giftedConversation(client, peer, (_id) => ({ _id, name: "Ada" })), text, (it) => {
      const { messages, user, onSend } = it.props();
      return { shown: messages, user, send: () => onSend([{ _id: "1", text, createdAt: new Date(), user }]) };
    });
  },
  chatscope: async ({ peer, text }) => {
    const { chatscopeConversation, toChatscopeConversation } = require("chat-client/chatscope");
    const list = (await client.conversations()).map(toChatscopeConversation);
    const shown = await screen(chatscopeConversation(client, peer), text, (it) => ({
      shown: it.messages(),
      send: () => it.send(`<b>${text}</b>`, text),
    }));
    // As the kit itself shows it.
    const { createElement } = require("react");
    const { renderToStaticMarkup } = require("react-dom/server");
    const kit = require("@chatscope/chat-ui-kit-react");
    const messages = shown.after.map(({ key, model, footer }) =>
      createElement(kit.Message, { key, model }, createElement(kit.Message.Footer, { sentTime: footer })),
    );
    const html = [...messages, createElement(kit.Conversation, list[0])].map(renderToStaticMarkup).join("\n");
    return { ...shown, list, html };
  },
};

/** What a screen shows: at first, and once what is sent from it has been delivered. */
async function screen(it, text, render) {
  const changed = () => new Promise((resolve) => it.view.subscribe(resolve));
  while (!it.view.get().length) await changed();
  const before = render(it);
  before.send();
  while (!it.view.get().some((message) => message.text === text && message.state === "delivered")) await changed();
  it.view.close();
  return { before: before.shown, after: render(it).shown, user: before.user };
}

void viewConversation; // a package without it does not start
createInterface({ input: process.stdin }).on("line", async (line) => {
  const [command, argument] = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[command](argument)) ?? null };
  } catch (error) {
    answer = { failed: error.code ?? String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
