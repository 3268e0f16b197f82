// The reference in a browser: it is read, searched, and everything in it that a user may send is sent.
"use strict";
const assert = require("node:assert/strict");
const { eventually, scenario } = require("./client.js");
const { assertClean, assertNoSideways, faults, launch, open } = require("./browser.js");

scenario(async ({ url, chromium, token, me }, check) => {
  const browser = await launch(chromium);
  try {
    const opened = await open(browser, `${url}/docs`, { viewport: { width: 1280, height: 900 } });
    const { page } = opened;
    const article = (id) => page.locator(`article[id="${id}"]`);
    const output = (id) => article(id).locator(".output");
    /** Presses Send of an event or request, and resolves to what came of it. */
    const tried = async (id) => {
      await article(id).getByRole("button", { name: /^Send/ }).click();
      return eventually(`an answer of ${id}`, async () => {
        const text = await output(id).textContent();
        return text !== "…" && text;
      });
    };
    await check("it has every event and request of the documents", async () => {
      await article("send-send_message").waitFor();
      const [events, http] = await page.evaluate(async () => [await (await fetch("/asyncapi.json")).json(), await (await fetch("/openapi.json")).json()]);
      const names = await page.locator("article h3").allTextContents();
      const inEvents = Object.values(events.channels).map(({ address }) => address).filter((address) => address !== "/");
      const inHttp = Object.entries(http.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
      assert.ok(inEvents.length > 15 && inHttp.length > 15);
      assert.deepEqual([...inEvents, ...inHttp].filter((name) => !names.includes(name)), []);
    });
    await check("without a token it says that one is needed", async () => {
      assert.match(await tried("send-conversations"), /a token is needed/);
    });
    await check("a wrong token is named", async () => {
      await page.getByLabel("Token", { exact: true }).fill("x.y.z");
      await page.getByRole("button", { name: "Use this token" }).click();
      await page.getByText("This token is of no use").waitFor();
    });
    await check("with a token it says who one is, and requests are answered", async () => {
      await page.getByLabel("Token", { exact: true }).fill(token);
      await page.getByRole("button", { name: "Use this token" }).click();
      await page.getByText(me).first().waitFor();
      assert.match(await tried("me"), new RegExp(`^200\\n[^]*${me}`));
    });
    await check("with Ada of the playground every event that is sent is answered", async () => {
      await page.getByRole("button", { name: "Use Ada of the playground" }).click();
      await page.getByText("You are Ada").waitFor();
      assert.match(await tried("send-send_message"), /"ok": true[^]*"duplicate": false/);
      assert.match(await tried("send-send_message"), /"duplicate": true/, "the same example is the same message");
      for (const name of ["conversations", "sync", "subscribe_presence", "unsubscribe_presence", "typing", "update_settings"]) {
        const text = await tried(`send-${name}`);
        assert.match(text, /"ok": true/, `${name}: ${text}`);
      }
      for (const name of ["mark_read", "mark_delivered", "refresh_token"]) {
        const text = await tried(`send-${name}`);
        assert.match(text, /"ok": (true|false)/, `${name}: ${text}`);
      }
      assert.match(await tried("history"), /^200\n[^]*Hello/);
    });
    await check("what does not fit a search is not shown", async () => {
      const search = page.getByRole("searchbox");
      await search.fill("mark_read");
      await article("send-typing").waitFor({ state: "hidden" });
      assert.ok(await article("send-mark_read").isVisible());
      await page.getByText(/\d+ of \d+ fit/).waitFor();
      await search.fill("");
      await article("send-typing").waitFor();
    });
    await check("a payload that is no JSON is not sent", async () => {
      await article("send-typing").getByRole("textbox").fill("{");
      assert.match(await tried("send-typing"), /^Not sent/);
    });
    await check("no error on its console but the refused token", () => assertClean(opened, /401 \(Unauthorized\)/));
    await opened.context.close();
    for (const [name, options] of [
      ["light", { colorScheme: "light" }],
      ["dark", { colorScheme: "dark" }],
      ["a phone", { viewport: { width: 320, height: 640 } }],
    ]) {
      await check(`it can be used by everybody: ${name}`, async () => {
        const looked = await open(browser, `${url}/docs`, options);
        await looked.page.locator("article").first().waitFor();
        assert.deepEqual(await faults(looked.page), []);
        await assertNoSideways(looked.page);
        assertClean(looked);
        await looked.context.close();
      });
    }
  } finally {
    await browser.close();
  }
});
