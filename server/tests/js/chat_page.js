// The page of `shared/js/README.md`, without a browser: its IndexedDB is simulated, and it has the focus. Sends one message, and
// reports what is shown when that has been delivered.
"use strict";
require("fake-indexeddb/auto");
const { setTimeout: pause } = require("node:timers/promises");
const { page, url, token, user, peer } = JSON.parse(process.argv[2]);
const { openConversation } = require(page);

globalThis.document = { hasFocus: () => true };
let sent;
const render = async (messages) => {
  const { chat, send } = await opened;
  if (messages.length && !sent) await (sent = send("and hello to you"));
  if (messages.length !== 2 || messages[1].state !== "delivered") return;
  const shown = messages.map(({ own, text, state }) => [own ? "me" : "they", text, state]);
  while (!(await chat.conversations())[0]?.readUpTo) await pause(20); // until the server knows what was read
  process.stdout.write(`${JSON.stringify(shown)}\n`, () => process.exit(0));
};
const opened = openConversation(url, user, peer, async () => token, render);
