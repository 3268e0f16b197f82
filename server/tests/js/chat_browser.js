// One device in a browser: a page of another origin than the server's, with the client of `shared/js` in a bundle and its copy in the
// browser's IndexedDB. Driven as `chat_client.js` is.
"use strict";
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { createInterface } = require("node:readline");
const { launch, open } = require("./browser.js");

const { browser: program, bundle, url, tokens } = JSON.parse(process.argv[2]);

/** Runs in the page, which has the bundle as `chatClient`. */
function device({ url, token }) {
  const { ChatClient, IndexedDbStore } = globalThis.chatClient;
  const store = new IndexedDbStore("copy");
  const client = new ChatClient({ url, auth: async () => token, store });
  globalThis.commands = {
    copy: async () => (await store.list("m/", "m0")).map(([, { message }]) => message),
    messages: (peer) => client.messages(peer, { limit: 1_000_000 }),
    unread: () => client.unread(),
    sendMany: async ({ peer, texts }) => (await Promise.all(texts.map((text) => client.send(peer, text)))).length,
    status: () => ({ ...client.status, error: client.status.error?.code }),
    connect: () => client.connect(),
  };
}

const site = createServer((request, response) => {
  const isBundle = request.url === "/bundle.js";
  response.setHeader("content-type", isBundle ? "text/javascript" : "text/html");
  response.end(isBundle ? readFileSync(bundle) : '<!doctype html><link rel="icon" href="data:,"><script src="/bundle.js"></script>');
});

async function start() {
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${site.address().port}/`;
  const browser = await launch(program);
  let { page, context } = await open(browser, address);
  const begin = () => page.evaluate(device, { url, token: tokens[0] });
  await begin();
  return async (command, argument) => {
    // The tab is gone, and another one is opened: only what was stored is left.
    if (command !== "kill the tab") return page.evaluate(([name, value]) => globalThis.commands[name](value), [command, argument]);
    await page.close();
    page = await context.newPage();
    await page.goto(address);
    await begin();
    return page.evaluate(() => globalThis.commands.connect());
  };
}

const started = start();
createInterface({ input: process.stdin }).on("line", async (line) => {
  const [command, argument] = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await (await started)(command, argument)) ?? null };
  } catch (error) {
    answer = { failed: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}).on("close", () => process.exit(0));
