//! `bench plot`: the latency curves of saved reports in one picture.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use chatctl_load::plot::{self, MAX_CURVES, Series};
use serde_json::Value;

use super::cli::{Curve, Plot};

/// Runs `bench plot`.
pub(super) fn plot(arguments: &Plot) -> anyhow::Result<()> {
    let name = match arguments.curve {
        Curve::Ack => "ack",
        Curve::Delivery => "delivery",
        Curve::Page => "page",
    };
    anyhow::ensure!(
        arguments.reports.len() <= MAX_CURVES,
        "more than {MAX_CURVES} curves can't be told apart"
    );
    let series = arguments
        .reports
        .iter()
        .map(|file| read(file, name))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let title = match arguments.curve {
        Curve::Ack => "from sending to the acknowledgement",
        Curve::Delivery => "from sending to the delivery",
        Curve::Page => "from the request for a page to the end of its answer",
    };
    plot::save(&arguments.out, title, &series)
}

fn read(file: &Path, name: &str) -> anyhow::Result<Series> {
    let text = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    let report: Value = serde_json::from_str(&text).with_context(|| format!("{} is no report", file.display()))?;
    let curve = serde_json::from_value(report[name]["curve"].clone());
    Ok(Series {
        name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        points: curve.with_context(|| format!("{} has no curve `{name}`", file.display()))?,
    })
}
