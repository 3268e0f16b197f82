//! The picture of a chat in README: two real `chatctl` on their screens, drawn as SVG. The test fails when they look
//! different from the picture; `DRAW_PICTURE=1 cargo test -p chatctl --test cli picture` draws it anew.

use std::fmt::Write as _;
use std::fs;

use testkit::{Engine, Server};
use vt100::{Cell, Color};

use crate::screen::Screen;

/// Where it lies in the project.
const PICTURE: &str = ".github/chat.svg";
const COLUMNS: u16 = 54;
/// Pixels of a character, of a row, and around the text of a window.
const CHARACTER: f32 = 8.4;
const ROW: f32 = 20.0;
const EDGE: f32 = 14.0;

#[test]
fn the_picture_in_the_readme_is_what_a_chat_looks_like() {
    let server = Server::start(Engine::Embedded);
    server.users(["ada", "grace"]);
    let chat = |me: &str, peer: &str| {
        let screen = Screen::sized(&server, &["chat", "--as", me, "--with", peer], COLUMNS, &[]);
        screen.wait_for("connected as");
        screen
    };
    let mut ada = chat("ada", "grace");
    ada.line("Did the parcel arrive?");
    ada.wait_for("arrive? ✓");
    let mut grace = chat("grace", "ada");
    grace.line("This morning. Thank you!");
    grace.wait_for("you! ✓✓");
    ada.line("Good. I'll tell Bob.");
    ada.wait_for("Bob. ✓✓");
    grace.wait_for("Bob.");
    grace.keys("He called, he will");
    grace.wait_for("he will");
    for (screen, end) in [(&ada, "→ grace ● ✓✓ read typing…"), (&grace, "→ ada ● ✓✓ read")] {
        screen.wait(end, |rows| rows.iter().any(|row| row.ends_with(end)).then_some(()));
    }

    let drawn = draw([("ada", &ada), ("grace", &grace)]);
    let path = testkit::workspace().join(PICTURE);
    if std::env::var_os("DRAW_PICTURE").is_some() {
        fs::write(&path, &drawn).expect("the picture can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        timeless(&kept),
        timeless(&drawn),
        "draw the picture anew: see the top of this file"
    );
}

/// Without days, and with one time only.
fn timeless(picture: &str) -> String {
    let rows = picture.lines().filter(|row| !row.contains("day, "));
    // A time stands alone in its span.
    let is_time = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let spans = rows
        .flat_map(|row| row.split('>'))
        .map(|part| match part.split_once('<') {
            Some((text, _)) if is_time(text) => "00:00:00",
            _ => part,
        });
    spans.collect::<Vec<_>>().join("\n")
}

/// The screens as windows, side by side.
fn draw(screens: [(&str, &Screen); 2]) -> String {
    let rows = screens
        .iter()
        .map(|(_, screen)| screen.rows().len())
        .max()
        .unwrap_or_default();
    let (width, height) = (
        f32::from(COLUMNS) * CHARACTER + 2.0 * EDGE,
        (rows as f32 + 1.5) * ROW + 2.0 * EDGE,
    );
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-size=\"14\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" fill=\"#d4d7dd\">\n\
         <title>Two people chat in two terminals</title>\n",
        2.0 * width + EDGE
    );
    for (number, (title, screen)) in screens.into_iter().enumerate() {
        let left = number as f32 * (width + EDGE);
        let middle = width / 2.0;
        let _ = writeln!(picture, "<g transform=\"translate({left:.0} 0)\">");
        let _ = writeln!(
            picture,
            "<rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"8\" fill=\"#1b1e24\"/>"
        );
        let _ = writeln!(
            picture,
            "<text x=\"{middle:.0}\" y=\"22\" text-anchor=\"middle\" opacity=\".6\">{title}</text>"
        );
        screen.look(|seen| {
            for row in 0..rows as u16 {
                if let Some(text) = row_of(seen, row) {
                    let y = (f32::from(row) + 2.5) * ROW;
                    let _ = writeln!(picture, "<text y=\"{y:.0}\" xml:space=\"preserve\">{text}</text>");
                }
            }
            let (row, column) = seen.cursor_position();
            let (x, y) = (EDGE + f32::from(column) * CHARACTER, (f32::from(row) + 1.75) * ROW);
            let _ = writeln!(
                picture,
                "<rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"8\" height=\"17\" opacity=\".7\"/>"
            );
        });
        picture.push_str("</g>\n");
    }
    picture + "</svg>\n"
}

/// The spans of a row, each of one style; none if it is empty.
fn row_of(screen: &vt100::Screen, row: u16) -> Option<String> {
    let mut spans: Vec<(u16, String, String)> = Vec::new();
    for column in 0..COLUMNS {
        let cell = screen.cell(row, column)?;
        if !cell.has_contents() {
            spans.push((column, String::new(), String::new())); // Ends the span before it.
            continue;
        }
        let text = cell.contents().replace('&', "&amp;").replace('<', "&lt;");
        match spans.last_mut() {
            Some((_, style, before)) if !before.is_empty() && *style == style_of(cell) => before.push_str(&text),
            _ => spans.push((column, style_of(cell), text)),
        }
    }
    let spans = spans.into_iter().filter(|(_, _, text)| !text.trim().is_empty());
    let spans: String = spans
        .map(|(column, style, text)| {
            let x = EDGE + f32::from(column) * CHARACTER;
            format!("<tspan x=\"{x:.1}\"{style}>{text}</tspan>")
        })
        .collect();
    (!spans.is_empty()).then_some(spans)
}

/// How a cell is drawn, as attributes.
fn style_of(cell: &Cell) -> String {
    let color = match cell.fgcolor() {
        Color::Idx(2) => " fill=\"#8cc265\"",
        Color::Idx(5) => " fill=\"#d67ad2\"",
        Color::Idx(6) => " fill=\"#4fb4c9\"",
        Color::Idx(14) => " fill=\"#5fd7ff\"",
        Color::Default => "",
        other => panic!("the picture has no color for {other:?}"),
    };
    let weight = if cell.bold() { " font-weight=\"bold\"" } else { "" };
    let opacity = if cell.dim() { " opacity=\".6\"" } else { "" };
    format!("{color}{weight}{opacity}")
}
