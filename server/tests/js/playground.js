// The playground in a browser: what its devices do to each other, and that everybody can use it.
"use strict";
const assert = require("node:assert/strict");
const { eventually, scenario, report } = require("./client.js");
const { assertClean, assertNoSideways, faults, launch, open } = require("./browser.js");

/** What a test does to the devices of a page. */
function hands(page) {
  const device = (who) => page.locator(`[data-device="${who}"]`);
  const button = (who, name) => device(who).getByRole("button", { name: new RegExp(`^${name}`) });
  const input = (who) => device(who).getByRole("textbox");
  const messages = (who) => device(who).locator(".messages li:not(.empty)");
  return {
    device, button, input, messages,
    press: (who, name) => button(who, name).click(),
    state: (who, text) => device(who).locator(".state", { hasText: text }).waitFor(),
    async write(who, text, name = "Send from") {
      await input(who).fill(text);
      await button(who, name).click();
    },
    sees: (who, text) => messages(who).filter({ hasText: text }).first().waitFor(),
    /** How far a message is, as the device of its sender shows it. */
    tick: (who, text, state) =>
      messages(who).filter({ hasText: text }).locator(`.ticks[data-state="${state}"]`).first().waitFor(),
    count: (who, text) => messages(who).filter({ hasText: text }).count(),
    /** The lines of the log of a device and a kind, about something. */
    lines: (who, kind, what) => page.locator(`.events li[data-who="${who}"][data-kind="${kind}"][data-what*="${what}"]`),
  };
}

const ALL = ["Ada phone", "Ada laptop", "Grace phone", "Grace laptop"];

/** What the picture in the README shows. */
async function picture(browser, address, path) {
  const { page, context } = await open(browser, address, { viewport: { width: 1200, height: 800 }, colorScheme: "light" });
  const at = hands(page);
  for (const who of ALL) await at.state(who, "connected · websocket");
  await at.write("Ada phone", "Are you on your way?");
  await at.sees("Grace laptop", "Are you on your way?");
  await at.press("Grace laptop", "Read all");
  await at.tick("Ada phone", "Are you on your way?", "read");
  await at.device("Grace phone").locator(".unread[data-count='0']").waitFor();
  await at.write("Grace laptop", "On the train. My phone loses its line any moment.");
  await at.sees("Ada laptop", "On the train");
  await at.press("Grace phone", "Cut off");
  await at.write("Ada laptop", "It gets this when it is back, exactly once.");
  await at.tick("Ada phone", "It gets this", "delivered");
  await at.input("Grace laptop").pressSequentially("See you s");
  await at.device("Ada phone").getByText("Grace is typing …").waitFor();
  await page.locator(".unread[data-count='1']").first().waitFor();
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path, type: "jpeg", quality: 82 });
  await context.close();
}

scenario(async ({ url, chromium, screenshot }, check) => {
  const browser = await launch(chromium);
  const address = `${url}/playground`;
  try {
    if (screenshot) return await picture(browser, address, screenshot);
    const opened = await open(browser, address, { viewport: { width: 1280, height: 900 } });
    const { page, seen } = opened;
    const at = hands(page);

    await check("each device is a connection that goes over to WebSocket", async () => {
      for (const who of ALL) await at.state(who, "connected · websocket");
      assert.ok(seen.requests.some((request) => request.includes("transport=polling")), "it begins with polling");
    });
    await check("a message is ticked as sent, delivered and read, and unread is counted", async () => {
      await at.write("Ada phone", "first words");
      await at.tick("Ada phone", "first words", "delivered");
      await at.tick("Ada laptop", "first words", "delivered");
      for (const who of ["Grace phone", "Grace laptop"]) {
        await at.sees(who, "first words");
        await at.device(who).locator(".unread[data-count='1']").waitFor();
      }
      await at.press("Grace phone", "Read all");
      await at.tick("Ada phone", "first words", "read");
      await at.tick("Ada laptop", "first words", "read");
      await at.device("Grace laptop").locator(".unread[data-count='0']").waitFor();
    });
    await check("presence and typing are seen", async () => {
      for (const who of ["Ada phone", "Ada laptop"]) await at.device(who).getByText("Grace is online").waitFor();
      await at.input("Grace laptop").pressSequentially("hm");
      await at.device("Ada phone").getByText("Grace is typing …").waitFor();
      await at.input("Grace laptop").fill("");
      await at.device("Ada phone").locator(".typing:empty").waitFor({ state: "attached" });
    });
    await check("what is sent twice is stored once", async () => {
      await at.write("Grace phone", "said twice", "Send twice");
      await at.sees("Ada laptop", "said twice");
      const answers = at.lines("Grace’s phone", "answer", "send_message");
      await eventually("two answers, one of them a duplicate", async () => {
        const texts = await answers.locator("pre").allTextContents();
        return texts.filter((text) => text.includes('"duplicate": true')).length === 1 && texts.length === 2;
      });
      for (const who of ALL) assert.equal(await at.count(who, "said twice"), 1, who);
    });
    await check("a device that was cut off sends and receives what was missed", async () => {
      await at.press("Grace phone", "Cut off");
      await at.state("Grace phone", "cut off");
      await at.write("Grace phone", "from the tunnel");
      await at.tick("Grace phone", "from the tunnel", "waiting");
      await at.write("Ada phone", "into the tunnel");
      await at.sees("Grace laptop", "into the tunnel");
      assert.equal(await at.count("Grace phone", "into the tunnel"), 0);
      await at.press("Grace phone", "Connect");
      await at.sees("Grace phone", "into the tunnel");
      await at.tick("Grace phone", "from the tunnel", "delivered");
      await at.sees("Ada laptop", "from the tunnel");
      for (const who of ALL) assert.equal(await at.count(who, "from the tunnel"), 1, who);
    });
    await check("a tab that was killed begins with its disk and catches up", async () => {
      await at.press("Grace laptop", "Kill tab");
      await at.state("Grace laptop", "tab killed");
      assert.equal(await at.count("Grace laptop", ""), 0);
      await at.write("Ada phone", "while it was dead");
      await at.sees("Grace phone", "while it was dead");
      await at.press("Grace laptop", "Open tab");
      await at.sees("Grace laptop", "while it was dead");
      for (const text of ["first words", "said twice", "from the tunnel"]) assert.equal(await at.count("Grace laptop", text), 1, text);
    });
    await check("a slow device is slow and loses nothing", async () => {
      await at.device("Ada laptop").getByRole("combobox").selectOption("500");
      const began = Date.now();
      await at.write("Ada laptop", "slowly");
      await at.tick("Ada laptop", "slowly", "delivered");
      assert.ok(Date.now() - began >= 900, "each way takes half a second");
      await at.sees("Grace phone", "slowly");
      await at.device("Ada laptop").getByRole("combobox").selectOption("0");
    });
    await check("devices are added and removed", async () => {
      await page.getByRole("button", { name: "Add a device of Grace" }).click();
      await at.state("Grace tablet", "connected");
      await at.sees("Grace tablet", "slowly");
      await at.press("Grace tablet", "Remove");
      await at.device("Grace tablet").waitFor({ state: "detached" });
    });
    await check("it is used by keyboard alone", async () => {
      const seenFocus = [];
      // At the end of the page it begins anew.
      for (let presses = 0; presses < 80 && !seenFocus.includes("Message from Ada’s phone to Grace"); presses += 1) {
        await page.keyboard.press("Tab");
        const [name, outline] = await page.evaluate(() => {
          const { activeElement } = document;
          if (activeElement === document.body) return ["", ""];
          return [activeElement.getAttribute("aria-label") ?? activeElement.textContent, getComputedStyle(activeElement).outlineStyle];
        });
        assert.notEqual(outline, "none", `the focus on ${name} can be seen`);
        seenFocus.push(name);
      }
      assert.ok(["To the devices", "Message from Ada’s phone to Grace"].every((name) => seenFocus.includes(name)), seenFocus.join(", "));
      await page.keyboard.type("by keyboard");
      await page.keyboard.press("Enter");
      await at.sees("Grace phone", "by keyboard");
      await page.locator("#told").evaluate((told) => { if (told.textContent === "") throw new Error("nothing was said"); });
    });
    await check("what people write is text", async () => {
      const text = "<img src=x onerror=alert(1)><b>bold</b>";
      await at.write("Ada phone", text);
      await at.sees("Grace phone", text);
      assert.equal(await page.locator(".messages img, .messages b, .events img").count(), 0);
    });
    await check("its own devices are told of no mistake", async () => {
      assert.equal(await page.locator(".events li[data-kind='hint']").count(), 0);
    });
    await check("no error on its console, and nothing from elsewhere", () => assertClean(opened));
    await opened.context.close();

    for (const [name, options] of [
      ["light", { colorScheme: "light" }],
      ["dark", { colorScheme: "dark" }],
      ["a phone, reduced motion", { viewport: { width: 320, height: 640 }, reducedMotion: "reduce" }],
    ]) {
      for (const path of ["/", "/playground"]) {
        await check(`${path} can be used by everybody: ${name}`, async () => {
          const looked = await open(browser, url + path, options);
          if (path === "/playground") await hands(looked.page).sees("Grace laptop", "slowly");
          assert.deepEqual(await faults(looked.page), []);
          await assertNoSideways(looked.page);
          assertClean(looked);
          await looked.context.close();
        });
      }
    }
    await check("another page gets no tokens", async () => {
      const answer = await (await browser.newContext()).request.post(`${url}/playground/tokens`, { headers: { origin: "http://evil.example" } });
      assert.equal(answer.status(), 403);
    });
  } finally {
    await browser.close();
  }
  report({ looked: true });
});
