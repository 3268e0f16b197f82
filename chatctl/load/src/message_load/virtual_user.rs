//! One user's connection under load: sends what is due and books what comes back. It costs the machine as little as
//! possible: frames are searched, not parsed; all that is there is read before anything is written, in one write.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde::Deserialize;
use shared::{MessageId, events};
use tokio::sync::watch;
use tokio::time::sleep_until;
use uuid::Uuid;

use super::UserState;
use super::plan::{ArrivalModel, Plan};
use crate::connection::{ConnectError, Connection};
use crate::ledger::SendOutcome;
use crate::stamp::Stamp;
use crate::stats::Stats;
use crate::wire::{self, Frame};

/// Timers of the runtime are this coarse, in nanoseconds, and go off late, never early.
const TIMER_RESOLUTION_NANOS: u64 = 1_000_000;
/// Wait before repeating what was refused without saying when to try again, in nanoseconds.
const RETRY_DELAY_NANOS: u64 = 1_000_000_000;
/// Frames read at most before something is written.
const MAX_READS: usize = 64;

/// Sends one user's messages.
pub(super) struct VirtualUser {
    plan: Arc<Plan>,
    me: Arc<UserState>,
    partner: Arc<UserState>,
    stats: Arc<Mutex<Stats>>,
    connection: Connection,
    /// When the next message is due, in an open loop.
    next: u64,
    /// What was refused: when to repeat it, and when it should have been sent.
    retries: BinaryHeap<Reverse<(u64, u64)>>,
    /// Messages that were heard, and that no `conversation_updated` told of yet: their ids, and when they were sent.
    untold: VecDeque<(MessageId, u64)>,
    /// Whether something waits to be flushed.
    fed: bool,
}

impl VirtualUser {
    pub(super) fn new(
        plan: Arc<Plan>,
        me: Arc<UserState>,
        partner: Arc<UserState>,
        stats: Arc<Mutex<Stats>>,
        connection: Connection,
    ) -> Self {
        Self {
            plan,
            me,
            partner,
            stats,
            connection,
            next: 0,
            retries: BinaryHeap::new(),
            untold: VecDeque::new(),
            fed: false,
        }
    }

    /// Waits for the start, then works until the connection or the pool ends.
    pub(super) async fn run(mut self, start: watch::Receiver<bool>) {
        if let Err(error) = self.work(start).await {
            self.stats.lock().counters.error("disconnected", 1);
            self.plan.ends.lock().count_end(&error);
        }
    }

    async fn work(&mut self, mut start: watch::Receiver<bool>) -> Result<(), ConnectError> {
        loop {
            tokio::select! {
                biased;
                frame = self.connection.next() => self.handle_frame(&frame?).await?,
                changed = start.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
            }
            self.flush().await?;
        }
        self.next = self.plan.first(self.me.number);
        let mut timer = pin!(sleep_until(self.plan.instant(0)));
        let mut set = None;
        loop {
            let wake = self.send_due().await?;
            self.flush().await?;
            if let Some(at) = wake.filter(|_| wake != set) {
                timer.as_mut().reset(self.plan.instant(at));
                set = wake;
            }
            tokio::select! {
                biased;
                frame = self.connection.next() => self.handle_frames(&frame?).await?,
                () = &mut timer, if wake.is_some() => {}
                () = self.me.delivered.notified(), if !self.plan.workload.acks => {}
            }
        }
    }

    /// Sends what is due and returns when to look again, if that does not depend on what comes back.
    async fn send_due(&mut self) -> Result<Option<u64>, ConnectError> {
        let now = self.plan.now();
        if self.plan.is_stopped(now) {
            return Ok(None);
        }
        while let Some(Reverse((due, planned))) = self.retries.peek().copied() {
            if due > now {
                break;
            }
            self.retries.pop();
            self.stats.lock().counters.retried += 1;
            self.send(planned).await?;
        }
        let retry = self.retries.peek().map(|Reverse((due, _))| *due);
        match self.plan.workload.arrivals {
            ArrivalModel::Closed { in_flight } => {
                while self.me.sent.lock().open() + self.retries.len() < in_flight && self.plan.claim_message() {
                    self.send(now).await?;
                }
                Ok(retry)
            }
            ArrivalModel::Open { .. } => {
                while self.next <= now + TIMER_RESOLUTION_NANOS {
                    if !self.plan.claim_message() {
                        return Ok(retry);
                    }
                    // Early by less than a tick: that moment is the planned one. Late: the delay counts as latency.
                    let planned = self.next.min(now);
                    // By the same moment as the latency of its answer, so that both count the same messages.
                    if self.plan.is_measured(planned) {
                        self.stats
                            .lock()
                            .measured
                            .lag
                            .record_nanos(now.saturating_sub(self.next));
                    }
                    self.send(planned).await?;
                    self.next += self.plan.interval;
                }
                let due = self.next - TIMER_RESOLUTION_NANOS;
                Ok(Some(retry.map_or(due, |retry| retry.min(due))))
            }
        }
    }

    /// Sends a message that should be on its way since `planned`.
    async fn send(&mut self, planned: u64) -> Result<(), ConnectError> {
        let number = self.me.sent.lock().add(planned);
        self.stats.lock().counters.sent += 1;
        let stamp = Stamp {
            sender: self.me.number,
            sequence: number,
            at: planned,
        };
        let workload = &self.plan.workload;
        let id = workload.client_ids.then(Uuid::now_v7);
        let text = |out: &mut String| self.plan.stamper.write(out, stamp);
        let frame = wire::send_message(workload.acks.then_some(number), self.partner.id, id, text);
        self.fed = true;
        self.connection.feed(frame).await
    }

    async fn flush(&mut self) -> Result<(), ConnectError> {
        if std::mem::take(&mut self.fed) {
            self.connection.flush().await?;
        }
        Ok(())
    }

    /// Handles a frame, and those after it that are here already.
    async fn handle_frames(&mut self, first: &str) -> Result<(), ConnectError> {
        self.handle_frame(first).await?;
        for _ in 1..MAX_READS {
            match self.connection.next().now_or_never() {
                Some(frame) => self.handle_frame(&frame?).await?,
                None => break,
            }
        }
        Ok(())
    }

    async fn handle_frame(&mut self, text: &str) -> Result<(), ConnectError> {
        match Frame::of(text) {
            Frame::Answer(number, body) => self.answered(number, body),
            Frame::Event(name, frame) => self.event_received(name, frame),
            Frame::Ping => {
                self.fed = true;
                self.connection.feed(wire::PONG).await?;
            }
            Frame::Disconnected => return Err(ConnectError::Closed),
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, number: u32, body: &str) {
        let now = self.plan.now();
        let refused = wire::is_error(body);
        let outcome = if refused {
            SendOutcome::Refused
        } else {
            SendOutcome::Done
        };
        let planned = self.me.sent.lock().complete(number, outcome);
        let mut stats = self.stats.lock();
        let Some(planned) = planned else {
            stats.counters.surplus_answers += 1;
            return;
        };
        if refused {
            let error = Refusal::read(body);
            stats.counters.refused += 1;
            stats.counters.error(&error.code, 1);
            let pause = error.retry_after_ms.map_or(RETRY_DELAY_NANOS, |ms| ms * 1_000_000);
            self.retries.push(Reverse((now + pause, planned)));
            return;
        }
        stats.counters.acknowledged += 1;
        stats.measured.acknowledged += u64::from(self.plan.is_measured(now));
        if self.plan.is_measured(planned) {
            stats.measured.ack.record_nanos(now - planned);
        }
    }

    /// Books that a conversation was told as it stands after its last message, whoever of the two sent that.
    fn conversation_updated(&mut self, frame: &str) {
        let Some(last) = wire::message_id(frame) else {
            return;
        };
        let now = self.plan.now();
        let told = self.untold.partition_point(|(message, _)| *message <= last);
        let mut stats = self.stats.lock();
        stats.counters.untold -= told as u64;
        for (_, sent) in self.untold.drain(..told) {
            if self.plan.is_measured(sent) {
                stats.measured.told.record_nanos(now.saturating_sub(sent));
            }
        }
    }

    fn event_received(&mut self, name: &str, frame: &str) {
        let Some(receiver) = name.strip_prefix("receive_message_") else {
            if name == events::CONVERSATION_UPDATED {
                self.conversation_updated(frame);
            }
            return;
        };
        let mine = (receiver == self.me.text)
            .then(|| self.plan.stamper.read(frame))
            .flatten();
        let Some(stamp) = mine.filter(|stamp| stamp.sender == self.partner.number) else {
            self.stats.lock().counters.foreign += 1;
            return;
        };
        let now = self.plan.now();
        if self.me.received.lock().add(stamp.sequence) {
            let mut stats = self.stats.lock();
            stats.counters.delivered += 1;
            stats.measured.delivered += u64::from(self.plan.is_measured(now));
            if self.plan.is_measured(stamp.at) {
                stats.measured.delivery.record_nanos(now.saturating_sub(stamp.at));
            }
            if let Some(message) = wire::message_id(frame) {
                stats.counters.untold += 1;
                self.untold.push_back((message, stamp.at));
            }
        }
        if !self.plan.workload.acks {
            self.partner.sent.lock().complete(stamp.sequence, SendOutcome::Done);
            self.partner.delivered.notify_one();
        }
    }
}

/// The error that a message was answered with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    code: String,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    fn read(answer: &str) -> Self {
        #[derive(Deserialize)]
        struct Answer {
            error: Refusal,
        }
        match serde_json::from_str::<(Answer,)>(answer) {
            Ok((answer,)) => answer.error,
            Err(_) => Self {
                code: "unreadable_error".to_owned(),
                retry_after_ms: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_when_to_try_again() {
        let busy = Refusal::read(r#"[{"ok":false,"error":{"code":"overloaded","message":"busy","retryAfterMs":250}}]"#);
        assert_eq!((busy.code.as_str(), busy.retry_after_ms), ("overloaded", Some(250)));
        let final_one = Refusal::read(r#"[{"ok":false,"error":{"code":"forbidden","message":"no"}}]"#);
        assert_eq!(final_one.retry_after_ms, None);
        assert_eq!(Refusal::read(r#"[{"ok":false}]"#).code, "unreadable_error");
    }
}
