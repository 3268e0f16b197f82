//! `chatctl top`: servers live, from the metrics at their places of administration.
//!
//! | module | what it owns |
//! |---|---|
//! | [`page`] | a page of metrics |
//! | [`numbers`] | what is shown of a server |
//! | [`view`] | how it looks |

mod numbers;
mod page;
mod view;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chatctl_client::ClientError;
use chatctl_client::http::Http;
use chatctl_terminal::UsageError;
use chatctl_terminal::output::{self, DIM};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde::Serialize;

use self::numbers::Numbers;
use self::page::Page;
use self::view::ServerView;
use super::Context;
use crate::cli::Top;

/// How often the keyboard is looked at: so soon a key is answered, and what came of a server is shown.
const TICK: Duration = Duration::from_millis(100);
/// Pages that wait to be shown, of all servers.
const MAX_WAITING: usize = 64;

/// One server at one moment.
#[derive(Debug, Serialize)]
struct Snapshot {
    url: String,
    #[serde(flatten)]
    numbers: Numbers,
}

/// A page of the server of this number, or why there is none.
type News = (usize, Result<(Page, Instant), String>);

/// Shows these servers until somebody quits; or their numbers once.
pub(super) fn run(context: &Context, nodes: &[Http], arguments: &Top) -> anyhow::Result<ExitCode> {
    if arguments.once {
        once(context, nodes, arguments.interval)?;
        return Ok(ExitCode::SUCCESS);
    }
    if context.json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(UsageError(
            "it needs a terminal, and no --json; with --once it prints the numbers once".to_owned(),
        )
        .into());
    }
    let (sender, news) = sync_channel(MAX_WAITING);
    for (number, http) in nodes.iter().enumerate() {
        let (http, sender, interval) = (http.clone(), sender.clone(), arguments.interval);
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || follow(number, &http, interval, &sender))?;
    }
    let mut servers = Servers {
        views: nodes
            .iter()
            .map(|http| ServerView::new(http.url().to_owned()))
            .collect(),
        last: nodes.iter().map(|_| None).collect(),
        away_since: vec![None; nodes.len()],
    };
    // It puts the terminal back, also if something panics.
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &news, &mut servers);
    ratatui::try_restore()?;
    shown?;
    Ok(ExitCode::SUCCESS)
}

/// What is known of all servers.
struct Servers {
    views: Vec<ServerView>,
    /// The last page of each, and when it came.
    last: Vec<Option<(Page, Instant)>>,
    away_since: Vec<Option<Instant>>,
}

impl Servers {
    fn hear(&mut self, (number, news): News) {
        match news {
            Ok((page, at)) => {
                if let Some((before, then)) = &self.last[number] {
                    self.views[number].push(Numbers::of(before, &page, at - *then));
                }
                self.views[number].trouble = None;
                self.away_since[number] = None;
                self.last[number] = Some((page, at));
            }
            Err(why) => {
                let since = *self.away_since[number].get_or_insert_with(Instant::now);
                self.views[number].trouble = Some((output::one_line(&why), since.elapsed()));
            }
        }
    }
}

/// Draws until a key quits. A terminal of another size is drawn anew.
fn show(terminal: &mut DefaultTerminal, news: &Receiver<News>, servers: &mut Servers) -> anyhow::Result<()> {
    loop {
        terminal.draw(|frame| view::draw(frame, &servers.views))?;
        if event::poll(TICK)? && quits(&event::read()?) {
            return Ok(());
        }
        while let Ok(news) = news.try_recv() {
            servers.hear(news);
        }
    }
}

fn quits(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// Asks a server again and again, until nobody listens any more.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own has nothing else to do until then"
)]
fn follow(number: usize, http: &Http, interval: Duration, sender: &SyncSender<News>) {
    loop {
        let begun = Instant::now();
        let page = fetch(http).map_err(|error| error.to_string());
        if sender.send((number, page)).is_err() {
            return;
        }
        thread::sleep(interval.saturating_sub(begun.elapsed()));
    }
}

fn fetch(http: &Http) -> Result<(Page, Instant), ClientError> {
    let page = Page::parse(&http.metrics()?);
    if !page.has("process_start_time_seconds") && !page.has("chat_connections") {
        return Err(http.not_the_server("there are no metrics of the chat".to_owned()));
    }
    Ok((page, Instant::now()))
}

/// Two pages of each server, and what they say.
#[expect(
    clippy::disallowed_methods,
    reason = "a command at a terminal has nothing else to do until then"
)]
fn once(context: &Context, nodes: &[Http], interval: Duration) -> anyhow::Result<()> {
    let first: Vec<(Page, Instant)> = nodes.iter().map(fetch).collect::<Result<_, _>>()?;
    thread::sleep(interval);
    let mut snapshots = Vec::new();
    for (http, (before, then)) in nodes.iter().zip(&first) {
        let (page, at) = fetch(http)?;
        snapshots.push(Snapshot {
            url: http.url().to_owned(),
            numbers: Numbers::of(before, &page, at - *then),
        });
    }
    if context.json {
        return Ok(output::json(&snapshots)?);
    }
    let mut out = anstream::stdout().lock();
    for snapshot in &snapshots {
        writeln!(out, "{DIM}{}{DIM:#}", output::one_line(&snapshot.url))?;
        for (name, text) in snapshot.numbers.rows() {
            writeln!(out, "{name:<13}{}", output::one_line(&text))?;
        }
    }
    Ok(out.flush()?)
}
