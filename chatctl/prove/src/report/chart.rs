//! The time line of a run as an SVG: faults as bands below messages acknowledged a second, latencies, and devices that
//! have caught up.

use std::fmt::Write;

use crate::measurements::Second;
use crate::verdict::Verdict;

const WIDTH: f64 = 820.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 790.0;
const TOP: f64 = 30.0;
/// Height of one of the three charts, and what lies between two of them.
const PANEL: f64 = 110.0;
const GAP: f64 = 44.0;

/// A scale of one chart.
struct Panel {
    top: f64,
    most: f64,
    logarithmic: bool,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            // From a tenth of a millisecond on.
            (value.max(0.1) * 10.0).log10() / (self.most * 10.0).log10()
        } else {
            value / self.most
        };
        self.top + PANEL * (1.0 - share.clamp(0.0, 1.0))
    }
}

/// Draws it.
pub(super) fn timeline(verdict: &Verdict) -> String {
    let seconds = &verdict.timeline;
    let span = (seconds.len() as f64).max(verdict.end).max(1.0);
    let x = |second: f64| LEFT + (second / span).clamp(0.0, 1.0) * (RIGHT - LEFT);
    let height = TOP + 3.0 * PANEL + 2.0 * GAP + 40.0;
    let bottom = TOP + 3.0 * PANEL + 2.0 * GAP;
    let mut svg = String::new();
    // Writing to a string can't fail, here and below.
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">
<title>Messages, latencies and devices, second by second, and the faults</title>
<style>{STYLE}</style>
<rect class="page" width="{WIDTH}" height="{height}"/>"#
    );
    for fault in &verdict.faults {
        let (from, to) = (x(fault.begin), x(fault.end.unwrap_or(span)));
        let _ = writeln!(
            svg,
            r#"<rect class="fault" x="{from:.1}" y="{TOP}" width="{:.1}" height="{:.1}"><title>fault at {:.1} s</title></rect>"#,
            (to - from).max(1.5),
            bottom - TOP,
            fault.begin
        );
    }
    for (at, name) in [(verdict.begin, "begin"), (verdict.end, "end of writing")] {
        let _ = writeln!(
            svg,
            r#"<path class="edge" d="M{0:.1} {TOP}V{bottom}"><title>{name}</title></path>"#,
            x(at)
        );
    }
    let values = |value: fn(&Second) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = seconds.iter().enumerate();
        points
            .filter_map(|(number, second)| Some((number as f64 + 0.5, value(second)?)))
            .collect()
    };
    let acknowledged = values(|second| Some(second.acknowledged as f64));
    let connected = values(|second| Some(second.connected as f64));
    let (median, tail) = (values(|second| second.p50_ms), values(|second| second.p99_ms));
    let devices = (verdict.users * verdict.devices) as f64;
    panel(
        &mut svg,
        0,
        "messages acknowledged a second",
        None,
        &[("a", &acknowledged)],
        &x,
    );
    panel(
        &mut svg,
        1,
        "milliseconds to the acknowledgement: half (solid) and 99 % (dashed)",
        Some(true),
        &[("a", &median), ("b", &tail)],
        &x,
    );
    panel(
        &mut svg,
        2,
        &format!("devices that have caught up, of {devices}"),
        Some(false),
        &[("c", &connected)],
        &x,
    );
    let step = step(span);
    let mut at = 0.0;
    while at <= span {
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{}" text-anchor="middle">{at} s</text>"#,
            x(at),
            bottom + 20.0
        );
        at += step;
    }
    svg.push_str("</svg>\n");
    svg
}

/// One chart; `logarithmic` is for latencies.
fn panel(
    svg: &mut String,
    number: u8,
    title: &str,
    logarithmic: Option<bool>,
    lines: &[(&str, &Vec<(f64, f64)>)],
    x: &impl Fn(f64) -> f64,
) {
    let logarithmic = logarithmic == Some(true);
    let top = TOP + f64::from(number) * (PANEL + GAP);
    let most = lines
        .iter()
        .flat_map(|(_, points)| *points)
        .map(|(_, value)| *value)
        .fold(1.0, f64::max);
    let most = if logarithmic {
        10_f64.powf(most.log10().ceil())
    } else {
        round_up(most)
    };
    let panel = Panel { top, most, logarithmic };
    let _ = writeln!(
        svg,
        r#"<text class="name" x="{LEFT}" y="{}">{title}</text><path class="axis" d="M{LEFT} {top}V{1}H{RIGHT}"/>"#,
        top - 8.0,
        top + PANEL
    );
    let marks = if logarithmic {
        let decades = most.log10() as i32;
        (-1..=decades).map(|decade| 10_f64.powi(decade)).collect()
    } else {
        vec![0.0, most / 2.0, most]
    };
    for mark in marks {
        let _ = writeln!(
            svg,
            r#"<path class="grid" d="M{LEFT} {0:.1}H{RIGHT}"/><text x="{1}" y="{0:.1}" dy="4" text-anchor="end">{mark}</text>"#,
            panel.y(mark),
            LEFT - 8.0
        );
    }
    for (class, points) in lines {
        // A second without a value ends a line: nothing is known of it.
        let mut line = String::new();
        let mut before = f64::NEG_INFINITY;
        for (at, value) in *points {
            let letter = if at - before > 1.5 { 'M' } else { 'L' };
            let _ = write!(line, "{letter}{:.1} {:.1}", x(*at), panel.y(*value));
            before = *at;
        }
        let _ = writeln!(svg, r#"<path class="line {class}" d="{line}"/>"#);
    }
}

/// A round number that is no smaller.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

/// Seconds between two labels.
fn step(span: f64) -> f64 {
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    let fits = steps.into_iter().find(|step| span / step <= 14.0);
    fits.unwrap_or(span / 10.0)
}

const STYLE: &str = "
.page{fill:#fff} text{fill:#333;font:12px system-ui,sans-serif} .name{font-weight:600}
.grid{stroke:#8884;fill:none} .axis{stroke:#666;fill:none} .edge{stroke:#888;fill:none;stroke-dasharray:2 3}
.fault{fill:#d55e00;fill-opacity:.22} .line{fill:none;stroke-width:1.8;stroke-linecap:round}
.a{stroke:#0072b2} .b{stroke:#d55e00;stroke-dasharray:6 3} .c{stroke:#008f68}
@media (prefers-color-scheme:dark){.page{fill:#14171a} text{fill:#d5d9dd} .axis{stroke:#999}
.a{stroke:#56b4e9} .b{stroke:#f28b50} .c{stroke:#3ecf9e}}
";
