//! The loop around a [`ChatSession`]: it does what the session asks for, tells it what happened, and keeps a connection.

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use chatctl_client::ClientError;
use chatctl_client::backoff::Backoff;
use chatctl_client::http::{Bearer, Http};
use chatctl_client::news::News;
use chatctl_client::request::Request;
use chatctl_client::socket::{Connection, SocketEvent};
use shared::events;
use shared::session::RefreshToken;
use shared::{Message, UserId};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;

use super::session::{ChatSession, Effect};
use super::{ChatEvent, Input};

/// How long the token of one connection holds. Each connection gets a new one.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);
/// How long the server may take to say whether its database answers.
const READINESS_TIMEOUT: Duration = Duration::from_secs(5);
/// A token that was good before can be refused while a server starts; this often in a row it is meant.
const MAX_REFUSALS: u32 = 5;

/// What a chat needs to know.
#[derive(Debug)]
pub(crate) struct ChatOptions {
    /// The server.
    pub(crate) http: Http,
    /// Where its Socket.IO listens.
    pub(crate) socket: String,
    /// Who we are.
    pub(crate) me: UserId,
    /// Whose conversation is open at first.
    pub(crate) peer: UserId,
    /// Somebody reads what is shown: it is marked as read.
    pub(crate) attended: bool,
    /// What to do when the input ends and everything is acknowledged.
    pub(crate) then: AfterInput,
    /// How long to wait for acknowledgements then, counted from the last one.
    pub(crate) grace: Duration,
}

/// What follows the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterInput {
    /// The end.
    Leave,
    /// Listening for this long.
    Listen(Duration),
    /// Listening until killed.
    Stay,
}

/// How a chat went.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ChatOutcome {
    /// Messages that the server refused for good.
    pub(crate) refused: usize,
    /// Messages whose fate is unknown.
    pub(crate) unacknowledged: usize,
}

/// Why a chat ended before its input did.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChatError {
    /// The server does not want us.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nobody sees what is shown.
    #[error("what happens can't be shown")]
    Output(#[from] io::Error),
}

/// Chats until `inputs` ends, showing what happens through `show`.
///
/// # Errors
/// If the server keeps refusing our token, or if `show` fails.
#[expect(clippy::disallowed_methods, reason = "a few pages are fetched at a time")]
pub(crate) async fn run(
    setup: ChatOptions,
    inputs: Receiver<Input>,
    show: impl FnMut(ChatEvent) -> io::Result<()>,
) -> Result<ChatOutcome, ChatError> {
    let (history, fetched) = unbounded_channel();
    let driver = Driver {
        session: ChatSession::new(Instant::now(), setup.me, setup.peer, setup.attended),
        setup,
        show,
        history,
        link: Link::Down(Instant::now()),
        backoff: Backoff::default(),
        refusals: 0,
        accepted: false,
        suspects: false,
        progress: Instant::now(),
        outcome: ChatOutcome::default(),
    };
    driver.run(inputs, fetched).await
}

/// What a request for history brought.
enum Fetched {
    /// For the session.
    Page(u64, Result<Vec<Message>, ClientError>),
    /// For the user.
    Asked(Result<Vec<Message>, ClientError>),
    /// Whether the server's database does not answer.
    LacksDatabase(bool),
}

/// The connection.
enum Link {
    /// There is none, and one is tried at this time.
    Down(Instant),
    /// There is one, or it is being made.
    Up(Connection, UnboundedReceiver<SocketEvent>),
}

impl Link {
    async fn event(&mut self) -> SocketEvent {
        match self {
            Self::Up(_, events) => {
                let ended = || SocketEvent::Lost("the connection ended".to_owned());
                events.recv().await.unwrap_or_else(ended)
            }
            Self::Down(_) => pending().await,
        }
    }

    fn due(&self) -> Option<Instant> {
        match self {
            Self::Down(at) => Some(*at),
            Self::Up(..) => None,
        }
    }
}

struct Driver<Show> {
    setup: ChatOptions,
    session: ChatSession,
    show: Show,
    history: UnboundedSender<Fetched>,
    link: Link,
    backoff: Backoff,
    refusals: u32,
    /// The server has accepted us at least once.
    accepted: bool,
    /// A message waits although there is a connection, and the server was asked for its database.
    suspects: bool,
    /// When a message was last settled, or the input ended.
    progress: Instant,
    outcome: ChatOutcome,
}

impl<Show: FnMut(ChatEvent) -> io::Result<()>> Driver<Show> {
    async fn run(
        mut self,
        mut inputs: Receiver<Input>,
        mut fetched: UnboundedReceiver<Fetched>,
    ) -> Result<ChatOutcome, ChatError> {
        let mut input_ended = false;
        loop {
            self.do_effects()?;
            let end = if input_ended { self.end() } else { None };
            if end.is_some_and(|end| end <= Instant::now()) {
                return self.finish();
            }
            let timer = [self.session.deadline(), self.link.due(), end]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                event = self.link.event() => self.happened(event)?,
                Some(fetched) = fetched.recv() => self.fetched(fetched)?,
                input = inputs.recv(), if !input_ended && self.session.has_room() => match input {
                    Some(input) => self.input(input),
                    None => {
                        input_ended = true;
                        self.progress = Instant::now();
                    }
                },
                () = at(timer) => {}
            }
            let now = Instant::now();
            if self.link.due().is_some_and(|due| due <= now) {
                self.connect();
            }
            self.session.tick(now);
        }
    }

    fn do_effects(&mut self) -> Result<(), ChatError> {
        while let Some(effect) = self.session.effect() {
            match effect {
                Effect::Request(request) => {
                    if let Link::Up(connection, _) = &self.link {
                        connection.request(request);
                    }
                }
                Effect::Fetch { ticket, with, page } => {
                    let me = self.setup.me;
                    self.ask(move |http| Fetched::Page(ticket, http.history(Bearer::User(me), me, with, page)));
                }
                Effect::Hangup(reason) => self.lost(reason.to_owned())?,
                Effect::Show(report) => self.report(report)?,
            }
        }
        Ok(())
    }

    fn report(&mut self, report: ChatEvent) -> io::Result<()> {
        match &report {
            ChatEvent::Sent { .. } => {
                self.progress = Instant::now();
                self.suspects = false;
            }
            ChatEvent::Waiting(_) if matches!(self.link, Link::Up(..)) && !self.suspects => {
                self.suspects = true;
                self.ask(|http| Fetched::LacksDatabase(http.lacks_database(READINESS_TIMEOUT)));
            }
            ChatEvent::Refused { .. } => {
                self.progress = Instant::now();
                self.outcome.refused += 1;
            }
            _ => {}
        }
        (self.show)(report)
    }

    /// Makes a request without holding up the loop.
    fn ask(&self, request: impl FnOnce(&Http) -> Fetched + Send + 'static) {
        let (http, answers) = (self.setup.http.clone(), self.history.clone());
        spawn_blocking(move || {
            // The loop may have ended meanwhile.
            let _ = answers.send(request(&http));
        });
    }

    fn connect(&mut self) {
        let (token, _) = self.setup.http.secret().sign(self.setup.me, None, TOKEN_LIFETIME);
        let (connection, events) = Connection::open(&self.setup.socket, &token, self.session.since());
        self.link = Link::Up(connection, events);
    }

    /// Goes on with a new token: the one of this connection ends soon.
    fn refresh(&self) {
        if let Link::Up(connection, _) = &self.link {
            let (token, _) = self.setup.http.secret().sign(self.setup.me, None, TOKEN_LIFETIME);
            connection.request(Request::Refresh(RefreshToken { token }));
        }
    }

    fn lost(&mut self, reason: String) -> Result<(), ChatError> {
        self.session.disconnected();
        let retry_in = self.backoff.next(rand::random());
        self.link = Link::Down(Instant::now() + retry_in);
        Ok(self.report(ChatEvent::Disconnected { reason, retry_in })?)
    }

    fn happened(&mut self, event: SocketEvent) -> Result<(), ChatError> {
        match event {
            SocketEvent::Connected => {
                self.backoff.reset();
                self.refusals = 0;
                self.accepted = true;
                self.session.connected(Instant::now());
            }
            SocketEvent::Refused(refusal) => {
                self.refusals += 1;
                if refusal.is_of_token() && (!self.accepted || self.refusals >= MAX_REFUSALS) {
                    return Err(self.setup.http.unauthorized(refusal.data).into());
                }
                self.lost(format!("refused: {refusal}"))?;
            }
            SocketEvent::Lost(reason) => self.lost(reason)?,
            SocketEvent::Event(event) if event.name == events::TOKEN_EXPIRING => self.refresh(),
            SocketEvent::Event(event) => {
                let news = News::read(self.setup.me, &event);
                self.session.news(Instant::now(), news, event.cursor);
            }
            SocketEvent::Answered(reply) => self.session.answered(Instant::now(), reply),
        }
        Ok(())
    }

    fn fetched(&mut self, fetched: Fetched) -> io::Result<()> {
        match fetched {
            Fetched::Page(ticket, answer) => {
                self.session
                    .fetched(Instant::now(), ticket, answer.map_err(|error| error.to_string()));
                Ok(())
            }
            Fetched::Asked(Ok(messages)) => self.report(ChatEvent::History(messages)),
            Fetched::Asked(Err(error)) => self.report(ChatEvent::HistoryFailed(error.to_string())),
            Fetched::LacksDatabase(lacks) if lacks && self.suspects => self.report(ChatEvent::NoDatabase),
            Fetched::LacksDatabase(_) => Ok(()),
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Say(text) => self.session.say(Instant::now(), text),
            Input::Open(peer) => self.session.open(Instant::now(), peer),
            Input::Typing(is_typing) => self.session.typed(Instant::now(), is_typing),
            Input::History(count) => {
                let (me, peer) = (self.setup.me, self.session.peer());
                self.ask(move |http| Fetched::Asked(http.newest(Bearer::User(me), me, peer, count)));
            }
        }
    }

    /// When the chat ends, now that its input has.
    fn end(&self) -> Option<Instant> {
        match self.setup.then {
            AfterInput::Stay => None,
            _ if !self.session.is_delivered() => Some(self.progress + self.setup.grace),
            AfterInput::Leave => Some(self.progress),
            AfterInput::Listen(duration) => Some(self.progress + duration),
        }
    }

    fn finish(mut self) -> Result<ChatOutcome, ChatError> {
        self.session.ending();
        self.do_effects()?;
        let drafts = self.session.into_drafts();
        self.outcome.unacknowledged = drafts.len();
        if !drafts.is_empty() {
            (self.show)(ChatEvent::Unacknowledged(drafts))?;
        }
        Ok(self.outcome)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => pending().await,
    }
}
