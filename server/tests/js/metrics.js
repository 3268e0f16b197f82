// What the metrics say of known actions. Argument: url, administration, transport, users {a, b}, tokens {a, b}, store.
// The server is this script's alone.
"use strict";
const assert = require("node:assert/strict");
const { Device, assertError, eventually, scenario } = require("./client.js");

scenario(async ({ url, administration, transport, users, tokens, store }, check) => {
  const { a, b } = users;

  /** The value of each series, by its name and labels as they stand on the page. */
  async function scrape() {
    const page = await fetch(`${administration}/metrics`, { headers: { accept: "application/openmetrics-text" } });
    assert.equal(page.status, 200);
    const series = (await page.text()).split("\n").filter((line) => line && !line.startsWith("#"));
    return new Map(series.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]));
  }

  const before = await scrape();
  /** Resolves once a series has grown by so much since the beginning; it may not grow further. */
  async function grewBy(series, growth) {
    let now;
    const grown = () => now.get(series) - before.get(series);
    await eventually(`${series} by ${growth}`, async () => {
      now = await scrape();
      assert.ok(now.has(series), `${series} is on no page`);
      return grown() >= growth;
    });
    assert.equal(grown(), growth, series);
  }

  /** Resolves once a series has this value. */
  async function becomes(series, value) {
    await eventually(`${series} ${value}`, async () => (await scrape()).get(series) === value);
  }

  const sender = await new Device(url, transport, { token: tokens.a }).connected();
  let receiver = await new Device(url, transport, { token: tokens.b, since: "" }).connected();
  const { next } = await receiver.hears("sync_done");

  await check("connections and handshakes", async () => {
    await new Device(url, transport, { token: "a.b.c" }).refused();
    await grewBy("chat_handshakes_total", 2);
    await grewBy('chat_handshakes_refused_total{code="token_invalid"}', 1);
    await grewBy('chat_handshakes_refused_total{code="banned"}', 0);
    await grewBy(`chat_connections{transport="${transport}"}`, 2);
    await grewBy("chat_connected_users", 2);
  });

  await check("messages by what became of them", async () => {
    for (const text of ["one", "two", "three"]) await sender.send(b, text, { clientMessageId: text });
    const [again] = await sender.ask("send_message", { receiverId: b, message: "one", clientMessageId: "one" });
    assert.equal(again.duplicate, true);
    assertError((await sender.ask("send_message", { receiverId: b, message: "" }))[0], "message_empty");
    assertError((await sender.ask("send_message", { receiverId: "nobody", message: "x" }))[0], "invalid_id");
    await grewBy('chat_sends_total{outcome="stored"}', 3);
    await grewBy('chat_sends_total{outcome="duplicate"}', 1);
    await grewBy('chat_sends_total{outcome="message_empty"}', 1);
    await grewBy('chat_sends_total{outcome="invalid_id"}', 1);
    await grewBy('chat_sends_total{outcome="overloaded"}', 0);
  });

  await check("batches and times", async () => {
    // Each of the four waited for its answer, so each was a batch; they can have gone through two lanes at most.
    await grewBy("chat_batch_messages_count", 4);
    await grewBy("chat_batch_messages_sum", 4);
    await grewBy('chat_batch_messages_bucket{le="1.0"}', 4);
    for (const histogram of ["chat_commit_seconds", "chat_delivery_seconds"]) {
      await grewBy(`${histogram}_count`, 1);
      const page = await scrape();
      const took = page.get(`${histogram}_sum`) - before.get(`${histogram}_sum`);
      assert.ok(took > 0 && took < 60, `${histogram}: ${took}`);
      assert.equal(page.get(`${histogram}_bucket{le="+Inf"}`), page.get(`${histogram}_count`));
    }
    for (const empty of ["chat_queue_messages", "chat_queue_waiting_messages", "chat_queue_bytes"]) {
      await grewBy(empty, 0);
    }
  });

  await check("other events, requests and limits", async () => {
    assertError((await sender.ask("nonsense", {}))[0], "unknown_event");
    await sender.ok("typing", { receiverId: b, isTyping: true });
    assertError((await sender.ask("typing", { receiverId: b, isTyping: true }))[0], "rate_limited");
    assert.equal((await fetch(`${url}/users/me`)).status, 401);
    await grewBy('chat_event_errors_total{code="unknown_event"}', 1);
    await grewBy('chat_event_errors_total{code="rate_limited"}', 1);
    await grewBy('chat_limit_hits_total{limit="RATE_TYPING"}', 1);
    await grewBy('chat_limit_hits_total{limit="RATE_MESSAGES"}', 0);
    await grewBy('chat_http_errors_total{code="unauthorized"}', 1);
  });

  await check("who comes back, and presence", async () => {
    await grewBy("chat_catch_up_seconds_count", 0);
    receiver.close();
    await becomes(`chat_connections{transport="${transport}"}`, 1);
    receiver = await new Device(url, transport, { token: tokens.b, since: next }).connected();
    await receiver.hears(`receive_message_${b}`, ({ message }) => message === "three");
    await grewBy("chat_catch_up_seconds_count", 1);
    await receiver.ok("subscribe_presence", { userIds: [a] });
    await grewBy("chat_followed_users", 1);
    await grewBy("chat_presence_subscriptions", 1);
  });

  await check("the server, its database and its process", async () => {
    const page = await eventually("a second heartbeat", async () => {
      const now = await scrape();
      return now.get('chat_heartbeats_total{outcome="stored"}') > before.get('chat_heartbeats_total{outcome="stored"}') && now;
    });
    const near = (seconds) => Math.abs(Date.now() / 1_000 - seconds) < 60;
    assert.ok(near(page.get("chat_last_heartbeat_timestamp_seconds")));
    for (const [series, value] of [
      ["chat_store_reachable", 1],
      ["chat_inbox_ready", 1],
      ["chat_inbox_building", 0],
      ["chat_request_panics_total", 0],
      ["chat_log_lines_lost_total", 0],
      ['chat_tasks{task="heartbeat"}', 1],
      ['chat_tasks_ended_total{task="heartbeat"}', 0],
      ['chat_heartbeats_total{outcome="failed"}', 0],
      ['chat_store_errors_total{kind="unavailable"}', 0],
      ['chat_ended_connections_total{reason="unread"}', 0],
    ]) assert.equal(page.get(series), value, series);
    const lag = page.get("chat_poller_lag_seconds");
    assert.ok(store === "embedded" ? lag === 0 : lag > 0 && lag < 30, `a lag of ${lag}`);
    const build = [...page.keys()].find((series) => series.startsWith("chat_build_info{"));
    assert.match(build, new RegExp(`store="${store}"`));
    assert.ok(page.get("process_resident_memory_bytes") > 1e6);
    assert.ok(page.get("process_cpu_seconds_total") > 0);
    assert.ok(page.get("process_open_fds") > 5 && page.get("process_open_fds") < page.get("process_max_fds"));
    assert.ok(near(page.get("process_start_time_seconds")));
  });
});
