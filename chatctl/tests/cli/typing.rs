//! The line that is being typed in `chatctl chat`: nothing that arrives may garble it.

use crate::program::Script;
use crate::screen::Screen;
use crate::{server, users};

#[test]
fn what_arrives_does_not_touch_the_line() {
    let [(ada, _), (bob, _)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    let mut script = Script::connected(server(), &bob, &ada, &["--stay"]);
    screen.keys("half a l");
    screen.wait_for("› half a l");
    (1..=5).for_each(|number| script.line(&format!("message {number};")));
    screen.wait_for("message 5;");
    let rows = screen.wait("the typed line below", |rows| {
        rows.last()
            .filter(|last| last.ends_with("› half a l"))
            .map(|_| rows.to_vec())
    });
    assert_eq!(
        rows.iter().filter(|row| row.contains("half a l")).count(),
        1,
        "{rows:?}"
    );
    assert_eq!(
        rows.iter().filter(|row| row.contains("message ")).count(),
        5,
        "{rows:?}"
    );

    screen.line("ine");
    screen.wait_for("half a line ✓");
    assert_eq!(
        script.event_named("receive_message")["message"]["message"],
        "half a line"
    );
    screen.wait("an empty line", |rows| (rows.last()? == "›").then_some(()));
}

#[test]
fn a_wrapped_line_with_umlauts_survives_many_messages() {
    let [(ada, _), (bob, _)] = users(server());
    let arguments = ["chat", "--as", &ada, "--with", &bob];
    let mut screen = Screen::sized(server(), &arguments, 60, &[]);
    screen.wait_for("connected as");
    let mut script = Script::connected(server(), &bob, &ada, &["--stay"]);
    let typed = "äöü ßéè grün übel 漢字 ".repeat(8);
    let mut expected = String::new();
    // Typing and arriving take turns, so that the line grows from one row to several between the messages.
    for (number, word) in typed.split_inclusive(' ').enumerate() {
        screen.keys(word);
        script.line(&format!("message {number};"));
        expected.push_str(word);
        screen.wait_for(&format!("message {number};"));
    }
    let squeeze = |text: &str| text.replace([' ', '\n'], "");
    let wanted = squeeze(&expected);
    let rows = screen.wait("the whole line", |rows| {
        let start = rows.iter().position(|row| row.contains("› "))?;
        squeeze(&rows[start..].join(""))
            .ends_with(&wanted)
            .then(|| rows.to_vec())
    });
    let count = typed.split_inclusive(' ').count();
    for number in 0..count {
        let text = format!("message {number};");
        assert_eq!(
            rows.iter().filter(|row| row.contains(&text)).count(),
            1,
            "{text} in {rows:#?}"
        );
    }
    screen.line("");
    assert_eq!(
        script.event_named("receive_message")["message"]["message"],
        typed.trim_end()
    );
}

#[test]
fn keys_do_what_people_expect() {
    let [(ada, _), (bob, _)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    screen.line("first");
    screen.wait_for("first ✓");
    screen.line("second");
    screen.wait_for("second ✓");
    // Up twice, down once: the second one again.
    screen.keys("unsent\x1b[A\x1b[A");
    screen.wait("the first one recalled", |rows| {
        rows.last()?.ends_with("› first").then_some(())
    });
    screen.keys("\x1b[B");
    screen.wait("the second one recalled", |rows| {
        rows.last()?.ends_with("› second").then_some(())
    });
    screen.keys("\x1b[B");
    screen.wait("what was not sent", |rows| {
        rows.last()?.ends_with("› unsent").then_some(())
    });
    // The cursor stands after what was recalled.
    screen.keys("\x1b[A ×");
    screen.wait("what was recalled, and more", |rows| {
        rows.last()?.ends_with("› second ×").then_some(())
    });
    // Ctrl-C empties the line, and leaves when there is none.
    screen.keys("\x03");
    screen.wait("an empty line", |rows| (rows.last()? == "›").then_some(()));
    screen.keys("\x03");
    assert_eq!(screen.end(), 0);
    assert_eq!(screen.rows_with("second ✓").len(), 1);
}

#[test]
fn several_pasted_lines_are_one_message() {
    let [(ada, _), (bob, _)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    let mut script = Script::connected(server(), &bob, &ada, &["--stay"]);
    screen.keys("\x1b[200~one\rtwo\x1b[201~");
    screen.wait_for("two");
    screen.keys("\r");
    assert_eq!(script.event_named("receive_message")["message"]["message"], "one\ntwo");
    screen.wait_for("two ✓");
}

#[test]
fn many_lines_at_once_are_sent_in_order() {
    let [(ada, ada_id), (bob, bob_id)] = users(server());
    let mut screen = Screen::chat(server(), &ada, &bob);
    let texts: Vec<String> = (1..=40).map(|number| format!("line {number};")).collect();
    texts.iter().for_each(|text| screen.line(text));
    texts.iter().for_each(|text| {
        screen.wait_for(&format!("{text} ✓"));
    });
    let history = server().history(&ada_id, &bob_id);
    let stored: Vec<&str> = history
        .iter()
        .map(|message| message["message"].as_str().unwrap())
        .collect();
    assert_eq!(stored, texts);
}
