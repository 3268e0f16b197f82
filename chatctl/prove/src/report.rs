//! The report: one HTML file that needs no other, and the verdict as JSON beside it.

mod chart;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use chatctl_load::plot::{self, Series, escape};

use super::verdict::{Outcome, Verdict, words};

/// Writes both files.
///
/// # Errors
/// If one can't be written.
pub(super) fn write(verdict: &Verdict, html: &Path) -> anyhow::Result<()> {
    let save = |file: &Path, text: String| {
        fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
    };
    save(
        &html.with_extension("json"),
        serde_json::to_string_pretty(verdict)? + "\n",
    )?;
    save(html, page(verdict))
}

fn page(verdict: &Verdict) -> String {
    let mut out = String::new();
    let class = match verdict.verdict {
        Outcome::Pass => "good",
        Outcome::Fail | Outcome::Unproven => "bad",
    };
    let word = verdict.verdict.word();
    // Writing to a string can't fail, here and below.
    let _ = writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{word}: chatctl prove, seed {}</title>\n\
         <style>{STYLE}</style></head><body><main>\n\
         <h1><span class=\"{class}\">{word}</span> {}</h1>",
        verdict.seed,
        escape(&verdict.headline())
    );
    let kill = match &verdict.kill {
        Some(command) => format!(", while <code>{}</code> broke something", escape(command)),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "<p>{} users with {} devices each wrote to each other for {:.0} s{kill}. Seed <b>{}</b>, names <code>{}-…</code>.</p>",
        verdict.users,
        verdict.devices,
        verdict.end - verdict.begin,
        verdict.seed,
        escape(&verdict.prefix)
    );
    let about = &verdict.about;
    let _ = writeln!(
        out,
        "<p>{}, against <code>{}</code>, by chatctl {}: <code>{}</code></p>",
        about.date,
        escape(&about.address),
        about.version,
        escape(&about.command)
    );
    if verdict.verdict == Outcome::Fail {
        for why in &verdict.unproven {
            let _ = writeln!(out, "<p class=\"bad\">{}</p>", escape(why));
        }
    }
    violations(&mut out, verdict);
    checked(&mut out, verdict);
    out.push_str("<h2>Time line</h2>\n");
    out.push_str(&chart::timeline(verdict));
    out.push_str("<h2>Latencies</h2>\n");
    let curves = [
        ("acknowledged", &verdict.ack),
        ("delivered", &verdict.delivery),
        ("caught up", &verdict.catch_up),
    ];
    let curves = curves
        .iter()
        .filter_map(|(name, summary)| Series::of(name, summary.as_ref()));
    let title = "from the first sending, repetitions included, and from connecting until caught up";
    out.push_str(&plot::draw(title, &curves.collect::<Vec<_>>()));
    figures(&mut out, verdict);
    out.push_str("</main></body></html>\n");
    out
}

fn violations(out: &mut String, verdict: &Verdict) {
    for violation in &verdict.violations {
        let _ = writeln!(
            out,
            "<h2 class=\"bad\">{}: {}</h2><p>{}.</p><ul>",
            violation.kind.name(),
            violation.count,
            violation.meaning
        );
        for example in &violation.examples {
            let _ = writeln!(out, "<li>{}</li>", escape(&words(example)));
        }
        out.push_str("</ul>\n");
    }
}

fn checked(out: &mut String, verdict: &Verdict) {
    out.push_str("<h2>What was checked</h2><table>\n");
    for row in &verdict.checked {
        let _ = writeln!(
            out,
            "<tr><th>{}</th><td>{} {}</td></tr>",
            escape(row.promise),
            row.items,
            row.of
        );
    }
    out.push_str("</table>\n");
}

fn figures(out: &mut String, verdict: &Verdict) {
    out.push_str("<h2>Figures</h2><table>\n");
    for (name, figure) in verdict.figures() {
        let _ = writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(&figure));
    }
    for (code, count) in &verdict.counts.errors {
        let _ = writeln!(out, "<tr><th>{}</th><td>{count} answers</td></tr>", escape(code));
    }
    for fault in &verdict.faults {
        let end = fault
            .end
            .map_or("not at all".to_owned(), |end| format!("at {end:.1} s"));
        let status = fault
            .status
            .map_or("by a signal".to_owned(), |status| format!("with {status}"));
        let _ = writeln!(
            out,
            "<tr><th>fault</th><td>at {:.1} s, ended {end} {status}</td></tr>",
            fault.begin
        );
    }
    for key in &verdict.unacknowledged_ids {
        let _ = writeln!(out, "<tr><th>never answered</th><td>clientMessageId {key}</td></tr>");
    }
    out.push_str("</table>\n");
}

const STYLE: &str = "
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;margin:0} main{max-width:880px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em} h2{font-size:1.1em;margin-top:2em} .good{color:#007a3d} .bad{color:#c02018}
h1 span{border:2px solid;border-radius:6px;padding:0 .4em;margin-right:.3em}
svg{width:100%;height:auto} table{border-collapse:collapse} th{text-align:left;padding:.1em 1.5em .1em 0;vertical-align:top;font-weight:600}
li{overflow-wrap:anywhere} code{font-size:.9em}
@media (prefers-color-scheme:dark){body{color:#d5d9dd;background:#14171a} .good{color:#3ecf9e} .bad{color:#ff8577}}
";

#[cfg(test)]
mod tests {
    use super::super::about::{self, About};
    use super::super::measurements::{Measurements, Second};
    use chatctl_load::fault::Fault;

    use super::super::record::ServerState;
    use super::super::verdict::Seen;
    use super::super::violation::{Example, Findings, Kind};
    use super::*;

    fn verdict(findings: Findings, unproven: &[&str]) -> Verdict {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            prove: super::super::Prove,
        }
        let line: Line = clap::Parser::parse_from(["prove", "--kill", "a < b"]);
        let mut measurements = Measurements::default();
        (1..500).for_each(|number| measurements.acknowledged(number * 10_000, number * 50));
        let seen = Seen {
            about: About::now(["http://chat.example"].into_iter()),
            checked: about::checked(&[], &ServerState::default()),
            seed: 42,
            prefix: "prove-1".to_owned(),
            writing: (0.0, 5.0),
            interrupted: false,
            seconds: measurements.seconds(),
            faults: vec![Fault {
                begin: 1.5,
                end: Some(2.5),
                status: Some(0),
            }],
            unproven: unproven.iter().map(|why| (*why).to_owned()).collect(),
        };
        Verdict::new(&line.prove, seen, &measurements, &[], findings)
    }

    #[test]
    fn both_files_are_written_and_need_no_others() {
        let mut findings = Findings::default();
        findings.add(Kind::Lost, Example::new("a & b"));
        let folder = tempfile::tempdir().unwrap();
        let html = folder.path().join("proof.html");
        write(&verdict(findings, &[]), &html).unwrap();
        let page = fs::read_to_string(&html).unwrap();
        for text in [
            "FAIL",
            "seed 42",
            "http://chat.example",
            " UTC",
            env!("CARGO_PKG_VERSION"),
            "equal a recount",
            "a &lt; b",
            "a &amp; b",
            "<svg",
            "class=\"fault\"",
            "never answered",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        for foreign in ["src=", "<link", "<script", "NaN", "inf"] {
            assert!(!page.contains(foreign), "{foreign}\n{page}");
        }
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("proof.json")).unwrap()).unwrap();
        assert_eq!((&json["verdict"], &json["seed"]), (&"fail".into(), &42.into()));
        assert_eq!(json["violations"][0]["kind"], "lost");
    }

    #[test]
    fn nothing_is_proven_by_a_run_that_went_wrong() {
        assert_eq!(verdict(Findings::default(), &[]).verdict, Outcome::Pass);
        assert_eq!(verdict(Findings::default(), &["no fault"]).verdict, Outcome::Unproven);
        assert!(page(&verdict(Findings::default(), &["no fault"])).contains("UNPROVEN"));
    }

    #[test]
    fn an_empty_run_can_be_drawn() {
        let mut empty = verdict(Findings::default(), &[]);
        empty.timeline = vec![Second::default()];
        (empty.begin, empty.end) = (0.0, 0.0);
        let svg = chart::timeline(&empty);
        assert!(
            svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
    }
}
