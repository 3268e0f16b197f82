//! What is shown of a server: numbers of now, and rates since the page before.

use std::time::Duration;

use serde::Serialize;

use super::page::Page;

/// How a server is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbers {
    pub(super) version: Option<String>,
    pub(super) store: Option<String>,
    /// Messages a second that were stored, and that were refused or failed.
    pub(super) messages_per_second: f64,
    pub(super) errors_per_second: f64,
    /// Connections a second that were let in, and that were refused.
    pub(super) handshakes_per_second: f64,
    pub(super) refused_per_second: f64,
    pub(super) connections: f64,
    pub(super) websockets: f64,
    pub(super) users: f64,
    /// Messages that wait to be stored, and bytes of all that are under way.
    pub(super) waiting_messages: f64,
    pub(super) queue_bytes: f64,
    /// What waits for clients to read it.
    pub(super) send_buffer_bytes: f64,
    pub(super) largest_send_buffer_bytes: f64,
    /// Of the time since the page before; none if nothing happened in it.
    pub(super) commit_p50_ms: Option<f64>,
    pub(super) commit_p99_ms: Option<f64>,
    pub(super) delivery_p99_ms: Option<f64>,
    pub(super) catch_up_p99_ms: Option<f64>,
    /// None where the server does not tell.
    pub(super) store_reachable: Option<bool>,
    pub(super) store_errors_per_second: f64,
    pub(super) poller_lag_seconds: f64,
    pub(super) limit_hits_per_second: f64,
    pub(super) inbox_ready: Option<bool>,
    pub(super) tasks_ended: f64,
    pub(super) cpu_percent: f64,
    pub(super) memory_bytes: f64,
    pub(super) open_files: f64,
    /// When the process started, in seconds since 1970.
    pub(super) started: f64,
}

impl Numbers {
    /// What two pages say, of which the second came so long after the first. After a restart counters begin again at 0.
    pub(super) fn of(before: &Page, now: &Page, apart: Duration) -> Self {
        let started = now.sum("process_start_time_seconds");
        let nothing = Page::default();
        let before = match before.sum("process_start_time_seconds") == started {
            true => before,
            false => &nothing,
        };
        let seconds = apart.as_secs_f64().max(1e-3);
        let rate = |count: f64, earlier: f64| (count - earlier).max(0.0) / seconds;
        let rate_of = |name| rate(now.sum(name), before.sum(name));
        let sends = |page: &Page, outcome| page.of("chat_sends_total", "outcome", outcome);
        let failed = |page: &Page| page.sum("chat_sends_total") - sends(page, "stored") - sends(page, "duplicate");
        let millis = |name, share| now.quantile_since(before, name, share).map(|seconds| seconds * 1e3);
        let flag = |name| now.has(name).then(|| now.sum(name) > 0.0);
        let text = |label| now.label("chat_build_info", label).map(str::to_owned);
        Self {
            version: text("version"),
            store: text("store"),
            messages_per_second: rate(sends(now, "stored"), sends(before, "stored")),
            errors_per_second: rate(failed(now), failed(before)),
            handshakes_per_second: rate_of("chat_handshakes_total"),
            refused_per_second: rate_of("chat_handshakes_refused_total"),
            connections: now.sum("chat_connections"),
            websockets: now.of("chat_connections", "transport", "websocket"),
            users: now.sum("chat_connected_users"),
            waiting_messages: now.sum("chat_queue_waiting_messages"),
            queue_bytes: now.sum("chat_queue_bytes"),
            send_buffer_bytes: now.sum("chat_send_buffers_bytes"),
            largest_send_buffer_bytes: now.sum("chat_largest_send_buffer_bytes"),
            commit_p50_ms: millis("chat_commit_seconds", 0.5),
            commit_p99_ms: millis("chat_commit_seconds", 0.99),
            delivery_p99_ms: millis("chat_delivery_seconds", 0.99),
            catch_up_p99_ms: millis("chat_catch_up_seconds", 0.99),
            store_reachable: flag("chat_store_reachable"),
            store_errors_per_second: rate_of("chat_store_errors_total"),
            poller_lag_seconds: now.sum("chat_poller_lag_seconds").max(0.0),
            limit_hits_per_second: rate_of("chat_limit_hits_total"),
            inbox_ready: flag("chat_inbox_ready"),
            tasks_ended: now.sum("chat_tasks_ended_total"),
            cpu_percent: rate_of("process_cpu_seconds_total") * 100.0,
            memory_bytes: now.sum("process_resident_memory_bytes"),
            open_files: now.sum("process_open_fds"),
            started,
        }
    }

    /// The rows of text: a name, and the numbers.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"));
        let state = |value: Option<bool>, yes: &str, no: &str| match value {
            Some(true) => yes.to_owned(),
            Some(false) => no.to_owned(),
            None => "-".to_owned(),
        };
        let mut rows = vec![
            (
                "messages",
                format!(
                    "{:.1}/s, {:.1}/s refused or failed",
                    self.messages_per_second, self.errors_per_second
                ),
            ),
            (
                "connections",
                format!(
                    "{:.0} ({:.0} by WebSocket), {:.0} users",
                    self.connections, self.websockets, self.users
                ),
            ),
            (
                "handshakes",
                format!(
                    "{:.1}/s, {:.1}/s refused",
                    self.handshakes_per_second, self.refused_per_second
                ),
            ),
            (
                "commit",
                format!("p50 {}, p99 {}", ms(self.commit_p50_ms), ms(self.commit_p99_ms)),
            ),
            (
                "delivery",
                format!(
                    "p99 {}, catching up {}",
                    ms(self.delivery_p99_ms),
                    ms(self.catch_up_p99_ms)
                ),
            ),
            (
                "queue",
                format!(
                    "{:.0} messages wait, {}",
                    self.waiting_messages,
                    bytes(self.queue_bytes)
                ),
            ),
            (
                "send buffers",
                format!(
                    "{}, largest {}",
                    bytes(self.send_buffer_bytes),
                    bytes(self.largest_send_buffer_bytes)
                ),
            ),
            (
                "store",
                format!(
                    "{}{}, {:.1} errors/s, {:.1} s behind",
                    self.store
                        .as_deref()
                        .map(|store| format!("{store} "))
                        .unwrap_or_default(),
                    state(self.store_reachable, "reachable", "AWAY"),
                    self.store_errors_per_second,
                    self.poller_lag_seconds
                ),
            ),
            ("inboxes", state(self.inbox_ready, "complete", "being built")),
            ("limits", format!("{:.1} hits/s", self.limit_hits_per_second)),
            (
                "process",
                format!(
                    "CPU {:.0} %, {}, {:.0} files",
                    self.cpu_percent,
                    bytes(self.memory_bytes),
                    self.open_files
                ),
            ),
        ];
        if self.tasks_ended > 0.0 {
            rows.push(("tasks", format!("{:.0} have ended: see the log", self.tasks_ended)));
        }
        rows
    }
}

/// Bytes for people.
fn bytes(count: f64) -> String {
    match count {
        count if count >= 1_048_576.0 => format!("{:.1} MiB", count / 1_048_576.0),
        count if count >= 1_024.0 => format!("{:.1} KiB", count / 1_024.0),
        count => format!("{count:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_and_begin_again_after_a_restart() {
        let page = |started, stored, failed| {
            Page::parse(&format!(
                "process_start_time_seconds {started}\nchat_sends_total{{outcome=\"stored\"}} {stored}\n\
                 chat_sends_total{{outcome=\"duplicate\"}} 5\nchat_sends_total{{outcome=\"overloaded\"}} {failed}\n\
                 chat_store_reachable 0\n"
            ))
        };
        let apart = Duration::from_secs(2);
        let numbers = Numbers::of(&page(1, 10, 0), &page(1, 30, 4), apart);
        assert_eq!((numbers.messages_per_second, numbers.errors_per_second), (10.0, 2.0));
        assert_eq!((numbers.store_reachable, numbers.inbox_ready), (Some(false), None));
        let restarted = Numbers::of(&page(1, 1_000, 0), &page(9, 6, 0), apart);
        assert_eq!(restarted.messages_per_second, 3.0);
        assert!(
            numbers
                .rows()
                .iter()
                .any(|(name, text)| *name == "store" && text.contains("AWAY"))
        );
    }
}
