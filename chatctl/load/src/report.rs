//! How results look as text; as JSON, the reports serialise themselves.

use std::fmt::Display;
use std::io::{self, Write};

use chatctl_terminal::output::{self, BAD, DIM, GOOD};
use indicatif::HumanCount;
use serde::Serialize;

use super::process::ProcessReport;
use super::stats::Summary;

/// Width of the first column.
const LABEL_COLUMNS: usize = 12;

/// A result: text for people, or one JSON object.
pub trait Report: Serialize + Sized {
    /// Writes the text.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Whether nothing was wrong.
    fn passed(&self) -> bool;

    /// Prints it in the format asked for.
    fn print(&self, json: bool) -> io::Result<()> {
        if json {
            return output::json(self);
        }
        let mut out = anstream::stdout().lock();
        self.text(&mut out)?;
        out.flush()
    }
}

/// A labelled line.
pub fn line(out: &mut dyn Write, label: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{label:<LABEL_COLUMNS$} {value}")
}

/// The verdict at the end.
pub fn verdict(out: &mut dyn Write, passed: bool, what: impl Display) -> io::Result<()> {
    let (style, word) = if passed { (GOOD, "passed") } else { (BAD, "FAILED") };
    writeln!(out, "{style}{word:<LABEL_COLUMNS$}{style:#} {what}")
}

/// A table of latencies; rows without any are left out.
pub fn latencies(out: &mut dyn Write, rows: &[(&str, Option<&Summary>)]) -> io::Result<()> {
    if rows.iter().all(|(_, row)| row.is_none()) {
        return Ok(());
    }
    let heads = ["p50", "p90", "p99", "p99.9", "max", "mean", "count"];
    let heads: String = heads.iter().map(|head| format!("{head:>10}")).collect();
    writeln!(out, "{DIM}{:<LABEL_COLUMNS$}{heads}{DIM:#}", "ms")?;
    for (name, row) in rows {
        let Some(row) = row else { continue };
        write!(out, "{name:<LABEL_COLUMNS$}")?;
        for value in [row.p50_ms, row.p90_ms, row.p99_ms, row.p999_ms, row.max_ms, row.mean_ms] {
            write!(out, "{:>10}", three_digits(value))?;
        }
        writeln!(out, "{:>10}", HumanCount(row.count).to_string())?;
    }
    Ok(())
}

/// A table of processes; CPU time is shown per `what`.
pub fn processes(out: &mut dyn Write, what: &str, rows: &[ProcessReport]) -> io::Result<()> {
    let each = format!("µs/{what}");
    writeln!(
        out,
        "{DIM}{:<LABEL_COLUMNS$}{each:>14}{:>10}{:>14}{:>12}{:>12}{DIM:#}",
        "CPU, memory", "CPU s", "before", "after", "peak"
    )?;
    for row in rows {
        let each = row.cpu_micros_each.map_or_else(|| "-".to_owned(), three_digits);
        writeln!(
            out,
            "{:<LABEL_COLUMNS$}{each:>14}{:>10.2}{:>14}{:>12}{:>12}",
            row.name,
            row.cpu_seconds,
            mib(row.memory_before),
            mib(row.memory_after),
            mib(row.memory_peak)
        )?;
    }
    Ok(())
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// A number to three digits.
pub fn three_digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => HumanCount(value.round() as u64).to_string(),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_or_more() {
        let shown: Vec<String> = [0.0421, 1.234, 12.34, 123.4, 12_345.6].map(three_digits).into();
        assert_eq!(shown, ["0.042", "1.23", "12.3", "123", "12,346"]);
    }
}
