//! One connection of a device: what it sends on it, and when.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chatctl_load::connection::{ConnectError, Connection};
use chatctl_load::wire::{self as frames, Frame};
use serde::Serialize;
use shared::conversation::MarkUpTo;
use shared::events::{self, SendMessage};
use shared::session::RefreshToken;
use shared::{MessageId, SettingsChange, UserId, sync};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{CaughtUpGuard, Device, LastSync, Phase};
use crate::plan::LeaveStep;
use crate::record::{How, Marked, micros};
use crate::virtual_user::Attempt;
use crate::wire;

/// How often a device looks what is due.
const TICK_INTERVAL: Duration = Duration::from_millis(20);
/// How long an answer, or catching up, may take before the device tries another connection. Servers that wait for
/// their database answer within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the copy is saved, at least.
const SAVE_INTERVAL: Duration = Duration::from_millis(1_500);
/// Marks are rarer than messages, by this factor.
const MARK_INTERVAL_FACTOR: u32 = 4;
/// Marks without an answer at most.
const MAX_OPEN_MARKS: usize = 4;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// The device left, as planned.
    Left(LeaveStep),
    /// It was broken, or closed by the server.
    Broken { why: String, was_live: bool },
    /// Something was not answered.
    Silent,
    /// The cursor was refused.
    Reset,
    /// The coordinator ended it.
    Closed,
}

/// What a request was for, until it is answered.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    /// A message: which, and whether never sent before.
    Send { index: usize, first: bool },
    /// A mark.
    Mark(usize),
    /// A change of settings.
    Settings,
    /// A page.
    Sync,
    /// To go on with a token that was made in this second.
    Refresh(i64),
}

/// A connection.
#[derive(Debug)]
pub(super) struct DeviceConnection<'a> {
    pub(super) device: &'a mut Device,
    connection: Connection,
    /// Its number in the run.
    pub(super) number: u32,
    begun: Instant,
    /// The number of the next request.
    next: u32,
    pub(super) asked: HashMap<u32, (Asked, Instant)>,
    pub(super) heard: Vec<(MessageId, How)>,
    /// Set once the device has caught up.
    pub(super) live: Option<CaughtUpGuard>,
    /// Where to go on with `sync`, once that is due.
    pub(super) page: Option<(String, Instant)>,
    /// Set by an event or answer that ends the connection.
    pub(super) over: Option<End>,
    /// Whether its token ends soon.
    pub(super) expiring: bool,
    leave: Option<(Instant, LeaveStep)>,
    send_at: Instant,
    mark_at: Instant,
    saved_at: Instant,
    fed: bool,
}

impl<'a> DeviceConnection<'a> {
    /// A connection that the device began to make at a moment.
    pub(super) fn new(device: &'a mut Device, connection: Connection, begun: Instant) -> Self {
        let now = Instant::now();
        device.updates.clear();
        device.updates_due.clear();
        Self {
            number: device.context.connections.fetch_add(1, Relaxed),
            device,
            connection,
            begun,
            next: 0,
            asked: HashMap::new(),
            heard: Vec::new(),
            live: None,
            page: None,
            over: None,
            expiring: false,
            leave: None,
            send_at: now,
            mark_at: now,
            saved_at: now,
            fed: false,
        }
    }

    /// Works until the connection ends. Dropping it then resets the connection, as a cut cable would look.
    pub(super) async fn run(mut self) -> End {
        let end = match self.work().await {
            Ok(end) => end,
            Err(error) => End::Broken {
                why: error.to_string(),
                was_live: self.live.is_some(),
            },
        };
        let now = self.device.context.now();
        for (asked, _) in self.asked.into_values() {
            match asked {
                Asked::Send { index, .. } => self.device.user.send_again(index, now),
                Asked::Mark(index) => self.device.user.mark_again(index, now),
                Asked::Settings => self.device.user.change_again(now, now),
                Asked::Sync | Asked::Refresh(_) => {}
            }
        }
        self.device.sessions.push(self.heard);
        end
    }

    async fn work(&mut self) -> Result<End, ConnectError> {
        let mut tick = interval(TICK_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                frame = self.connection.next() => self.handle_frame(&frame?).await?,
                _ = tick.tick() => {
                    let now = Instant::now();
                    if let Some(end) = self.due(now).await? {
                        return Ok(end);
                    }
                }
            }
            if let Some(end) = self.over.take() {
                return Ok(end);
            }
            if std::mem::take(&mut self.fed) {
                self.connection.flush().await?;
            }
        }
    }

    async fn handle_frame(&mut self, text: &str) -> Result<(), ConnectError> {
        let frame = Frame::of(text);
        // Tokens go on ending when everything else is still.
        let is_of_token = match &frame {
            Frame::Event(name, _) => *name == events::TOKEN_EXPIRING,
            Frame::Answer(number, _) => matches!(self.asked.get(number), Some((Asked::Refresh(_), _))),
            _ => false,
        };
        match frame {
            Frame::Ping => return self.connection.send(frames::PONG).await,
            Frame::Disconnected => return Err(ConnectError::Closed),
            Frame::Event(name, frame) => self.event(name, frame),
            Frame::Answer(number, body) => self.answer(number, body),
            _ => return Ok(()),
        }
        let context = &self.device.context;
        if !is_of_token {
            context.heard_at.store(context.now(), Relaxed);
        }
        Ok(())
    }

    /// Does what is due; returns how the connection ends, if it does.
    async fn due(&mut self, now: Instant) -> Result<Option<End>, ConnectError> {
        let phase = self.device.phase();
        if phase == Phase::Close {
            return Ok(Some(End::Closed));
        }
        let late = |since: Instant| now.duration_since(since) > ANSWER_TIMEOUT;
        if (self.live.is_none() && late(self.begun)) || self.asked.values().any(|(_, at)| late(*at)) {
            return Ok(Some(End::Silent));
        }
        if std::mem::take(&mut self.expiring) {
            let (token, made) = self.device.context.tokens.fresh(self.device.user.id);
            self.ask(events::REFRESH_TOKEN, &RefreshToken { token }, Asked::Refresh(made))
                .await?;
        }
        if let Some((since, _)) = self.page.take_if(|(_, due)| *due <= now) {
            // Pages of every size are asked for.
            let limit = [None, Some(50), Some(7)][self.number as usize % 3];
            let since = Some(since);
            self.ask(events::SYNC, &sync::SyncRequest { since, limit }, Asked::Sync)
                .await?;
        }
        if self.live.is_none() {
            return Ok(None);
        }
        if now.duration_since(self.saved_at) >= SAVE_INTERVAL {
            self.device.copy.save();
            self.saved_at = now;
        }
        match phase {
            Phase::Run => {
                let leave = self.leave.get_or_insert_with(|| {
                    let never = LeaveStep {
                        after: Duration::MAX,
                        away: Duration::ZERO,
                        crash: false,
                    };
                    let leave = self.device.script.leave().unwrap_or(never);
                    (now, leave)
                });
                if now.duration_since(leave.0) >= leave.1.after {
                    return Ok(Some(End::Left(leave.1)));
                }
                self.compose(now).await?;
                self.mark(now).await?;
                self.repeat().await?;
            }
            Phase::Settle => self.repeat().await?,
            Phase::Sync { settled } if self.device.last_sync == LastSync::Ahead => {
                self.device.last_sync = LastSync::Begun { was_live: settled };
                self.page = Some((self.device.copy.cursor().to_owned(), now));
            }
            Phase::Gather | Phase::Sync { .. } | Phase::Close => {}
        }
        Ok(None)
    }

    /// Sends new messages.
    async fn compose(&mut self, now: Instant) -> Result<(), ConnectError> {
        // What could not be sent in time is not made up for.
        self.send_at = self
            .send_at
            .max(now.checked_sub(Duration::from_millis(500)).unwrap_or(now));
        while self.send_at <= now && self.sending() < self.device.context.in_flight {
            let send = self.device.script.send();
            self.send_at += self.device.context.interval.mul_f64(send.pause);
            let receiver = self.device.context.people[send.to];
            let at = self.device.context.now();
            let attempt = self.device.user.compose(send, receiver, at);
            self.device.context.measurements.lock().counts.messages += 1;
            self.send(attempt).await?;
        }
        Ok(())
    }

    /// Sends again what any of the user's devices got no answer to.
    async fn repeat(&mut self) -> Result<(), ConnectError> {
        let now = self.device.context.now();
        while self.sending() < self.device.context.in_flight {
            let Some(attempt) = self.device.user.repeat(now) else {
                break;
            };
            {
                let counts = &mut self.device.context.measurements.lock().counts;
                counts.resent += u64::from(attempt.acked);
                counts.retried += u64::from(!attempt.acked);
            }
            self.send(attempt).await?;
        }
        while let Some((index, mark)) = self.device.user.repeat_mark(now) {
            self.send_mark(index, &mark).await?;
        }
        if let Some(invisible) = self.device.user.repeat_change(now) {
            self.change(invisible).await?;
        }
        Ok(())
    }

    async fn send(&mut self, attempt: Attempt) -> Result<(), ConnectError> {
        let payload = SendMessage {
            receiver_id: attempt.receiver,
            message: attempt.text,
            client_message_id: Some(attempt.key.to_string()),
        };
        let (index, first) = (attempt.index, attempt.first);
        self.ask(events::SEND_MESSAGE, &payload, Asked::Send { index, first })
            .await
    }

    fn sending(&self) -> usize {
        let sends = |(asked, _): &&(Asked, Instant)| matches!(asked, Asked::Send { .. });
        self.asked.values().filter(sends).count()
    }

    /// Marks something that was heard.
    async fn mark(&mut self, now: Instant) -> Result<(), ConnectError> {
        if now < self.mark_at {
            return Ok(());
        }
        let mark = self.device.script.mark();
        self.mark_at = now + (MARK_INTERVAL_FACTOR * self.device.context.interval).mul_f64(mark.pause);
        let device = &mut *self.device;
        let peers = device.context.plan.partners(device.user.number);
        let me = device.user.id;
        let peers: Vec<UserId> = peers
            .map(|peer| device.context.people[peer])
            .filter(|peer| *peer != me)
            .collect();
        let recent = peers
            .get(mark.conversation % peers.len().max(1))
            .and_then(|peer| Some((*peer, device.recent.get(peer)?)));
        let up_to = recent.and_then(|(peer, ids)| Some((peer, *ids.iter().rev().nth(mark.back)?)));
        let marks = |(asked, _): &&(Asked, Instant)| matches!(asked, Asked::Mark(_));
        if let Some((peer, up_to)) = up_to
            && self.asked.values().filter(marks).count() < MAX_OPEN_MARKS
        {
            let index = self.device.user.mark(mark, peer, up_to);
            let mark = self.device.user.marked(index);
            self.send_mark(index, &mark).await?;
        }
        if let Some(invisible) = mark.invisible
            && self.device.user.change(invisible, self.device.context.now())
        {
            self.change(invisible).await?;
        }
        Ok(())
    }

    async fn send_mark(&mut self, index: usize, mark: &Marked) -> Result<(), ConnectError> {
        let event = if mark.read {
            events::MARK_READ
        } else {
            events::MARK_DELIVERED
        };
        let payload = MarkUpTo {
            peer_id: mark.peer,
            up_to: mark.up_to,
        };
        self.ask(event, &payload, Asked::Mark(index)).await
    }

    async fn change(&mut self, invisible: bool) -> Result<(), ConnectError> {
        let change = SettingsChange {
            invisible: Some(invisible),
            read_receipts: None,
        };
        self.ask(events::UPDATE_SETTINGS, &change, Asked::Settings).await
    }

    async fn ask(&mut self, event: &str, payload: &impl Serialize, what: Asked) -> Result<(), ConnectError> {
        self.asked.insert(self.next, (what, Instant::now()));
        self.fed = true;
        self.connection.feed(wire::request(self.next, event, payload)).await?;
        self.next += 1;
        Ok(())
    }

    /// The device has caught up.
    pub(super) fn caught_up(&mut self) {
        if self.live.is_none() {
            let context = &self.device.context;
            let mut measurements = context.measurements.lock();
            measurements.counts.catch_ups += 1;
            measurements.catch_up.record(self.begun.elapsed());
            drop(measurements);
            self.live = Some(CaughtUpGuard::new(context));
            self.device.copy.save();
            self.send_at = Instant::now();
            self.mark_at = self.send_at;
        }
        if let LastSync::Begun { .. } = self.device.last_sync
            && self.page.is_none()
            && !self.asked.values().any(|(asked, _)| matches!(asked, Asked::Sync))
        {
            self.device.last_sync = LastSync::Done;
            self.device.context.synced.fetch_add(1, Relaxed);
        }
    }

    /// When an error says to try again, as a time of the run.
    pub(super) fn later(&self, millis: u64) -> u64 {
        self.device.context.now() + micros(Duration::from_millis(millis))
    }
}
