//! How it looks: a column for each server, numbers above and curves below.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

use super::numbers::Numbers;

/// Points of a curve that are kept: more than a screen is wide.
const MAX_POINTS: usize = 512;
/// Rows of a curve, with its title.
const CURVE_ROWS: u16 = 4;
/// Columns of the names of the rows.
const NAME_COLUMNS: usize = 13;

/// A curve: its title, its number, and by what that is multiplied to be a whole one.
type Curve = (&'static str, fn(&Numbers) -> f64, f64);

const CURVES: [Curve; 5] = [
    ("messages/s", |numbers| numbers.messages_per_second, 1.0),
    ("connections", |numbers| numbers.connections, 1.0),
    ("commit p99, ms", |numbers| numbers.commit_p99_ms.unwrap_or(0.0), 10.0),
    ("messages waiting", |numbers| numbers.waiting_messages, 1.0),
    ("CPU %", |numbers| numbers.cpu_percent, 1.0),
];

/// What is known of one server.
#[derive(Debug)]
pub(super) struct ServerView {
    pub(super) url: String,
    /// The newest numbers; none before the second page.
    pub(super) numbers: Option<Numbers>,
    /// Why there are none just now, and for how long.
    pub(super) trouble: Option<(String, Duration)>,
    curves: [VecDeque<u64>; CURVES.len()],
}

impl ServerView {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            numbers: None,
            trouble: None,
            curves: Default::default(),
        }
    }

    /// Takes the newest numbers.
    pub(super) fn push(&mut self, numbers: Numbers) {
        for ((_, value, factor), points) in CURVES.iter().zip(&mut self.curves) {
            points.push_back((value(&numbers) * factor).round() as u64);
            if points.len() > MAX_POINTS {
                points.pop_front();
            }
        }
        self.numbers = Some(numbers);
        self.trouble = None;
    }
}

/// Draws all servers side by side.
pub(super) fn draw(frame: &mut Frame<'_>, servers: &[ServerView]) {
    let [body, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    let columns = Layout::horizontal(vec![Constraint::Fill(1); servers.len().max(1)]).split(body);
    for (server, area) in servers.iter().zip(columns.iter()) {
        draw_server(frame, server, *area);
    }
    let hint = Line::styled("q quits", Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(Paragraph::new(hint), foot);
}

fn draw_server(frame: &mut Frame<'_>, server: &ServerView, area: Rect) {
    let style = match &server.trouble {
        Some(_) => Style::new().fg(Color::Red),
        None => Style::new().fg(Color::Green),
    };
    let block = Block::bordered().border_style(style).title(server.url.as_str());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let lines = lines(server);
    let [text, mut rest] = Layout::vertical([Constraint::Length(lines.len() as u16), Constraint::Min(0)]).areas(inside);
    frame.render_widget(Paragraph::new(lines), text);
    for ((title, _, factor), points) in CURVES.iter().zip(&server.curves) {
        if rest.height < CURVE_ROWS {
            return;
        }
        let curve;
        [curve, rest] = Layout::vertical([Constraint::Length(CURVE_ROWS), Constraint::Min(0)]).areas(rest);
        let shown = points.len().saturating_sub(curve.width.into());
        let points: Vec<u64> = points.iter().skip(shown).copied().collect();
        let most = points.iter().copied().max().unwrap_or(0) as f64 / factor;
        let sparkline = Sparkline::default()
            .block(Block::new().title(format!("{title}, at most {most:.0}")))
            .data(points)
            .style(Style::new().fg(Color::Cyan));
        frame.render_widget(sparkline, curve);
    }
}

fn lines(server: &ServerView) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    if let Some((why, since)) = &server.trouble {
        let text = format!("not reachable for {} s: {why}", since.as_secs());
        lines.push(Line::styled(text, Style::new().fg(Color::Red)));
    }
    match &server.numbers {
        None if server.trouble.is_none() => lines.push(Line::raw("waiting for the second page of metrics")),
        None => {}
        Some(numbers) => {
            let dim = Style::new().add_modifier(Modifier::DIM);
            let row = |(name, text)| {
                Line::from(vec![
                    Span::styled(format!("{name:<NAME_COLUMNS$}"), dim),
                    Span::raw(text),
                ])
            };
            lines.extend(numbers.rows().into_iter().map(row));
        }
    }
    lines
}
