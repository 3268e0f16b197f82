// A headless Chromium for the tests of pages, and what every page is watched for: errors on its console, requests that fail, and
// requests to anybody but the servers of the test.
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** How long anything in a page may take; slow machines are meant to pass. */
const TIMEOUT = 60_000;

/** Starts the browser that the Rust test found: a program, and what its environment needs. Its profile is a new one. */
async function launch({ program, environment }) {
  return chromium.launch({ executablePath: program, args: FLAGS, env: { ...process.env, ...environment }, timeout: TIMEOUT });
}

/** A page in a context of its own (as `browser.newContext` takes it), watched from its first request on. */
async function open(browser, url, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  const seen = { errors: [], foreign: [], requests: [] };
  const own = new Set([new URL(url).host, ...(options.hosts ?? [])]);
  const look = (address) => {
    seen.requests.push(address);
    const { protocol, host } = new URL(address);
    if (!["data:", "blob:"].includes(protocol) && !own.has(host)) seen.foreign.push(address);
  };
  page.on("request", (request) => look(request.url()));
  page.on("websocket", (socket) => look(socket.url()));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.errors.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => seen.errors.push(String(error.stack ?? error)));
  await page.goto(url);
  return { page, context, seen };
}

/** Nothing was wrong in a page: but for errors that fit `allowed`, which the test has caused. */
function assertClean({ seen }, allowed = /^$/) {
  assert.deepEqual(seen.foreign, [], "requests to foreign hosts");
  assert.deepEqual(seen.errors.filter((error) => !allowed.test(error)), [], "errors on the console");
}

/** What axe finds in a page, with the rules of WCAG 2.2 AA and its best practices. */
async function faults(page) {
  // Through the debugger: the page itself lets no script in.
  await page.evaluate(`(() => {${axe.source}})()`);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
}

/** A page is no wider than its window. */
async function assertNoSideways(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `the page is ${wide} pixels wide in a window of ${window}`);
}

module.exports = { assertClean, assertNoSideways, faults, launch, open, TIMEOUT };
