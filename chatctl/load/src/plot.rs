//! Latency curves as an SVG: the share of messages or pages to the right on a logarithmic scale of its tail (90 %, 99 %, …),
//! milliseconds upwards, also logarithmic. Its colours fit light and dark pages.
//!
//! It is drawn by hand: `plotters` 0.3.7 with its SVG backend was tried with the same two curves. Its colours are fixed, so that the
//! picture glares on a dark page; it has no title that can be read aloud and no tooltips; a dashed curve is 87 elements with corners
//! on whole pixels, 16 kB instead of 5; only powers of ten are labelled, and the last label of the other axis is cut off. The
//! scale of nines has to be written for it all the same.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::stats::Summary;

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 460.0;
/// Left, right, top and bottom edge of the axes.
const AREA: [f64; 4] = [76.0, 780.0, 64.0, 396.0];
/// As many curves can be told apart.
pub const MAX_CURVES: usize = 6;

/// A named curve: shares, 0 to 1, with their milliseconds.
#[derive(Debug, Clone)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// In the order of the shares.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The curve of a summary, if there is one.
    pub fn of(name: &str, summary: Option<&Summary>) -> Option<Self> {
        summary.map(|summary| Self {
            name: name.to_owned(),
            points: summary.curve.clone(),
        })
    }
}

/// Draws the curves into a file.
///
/// # Errors
/// If the file can't be written.
pub fn save(file: &Path, title: &str, series: &[Series]) -> anyhow::Result<()> {
    fs::write(file, draw(title, series)).with_context(|| format!("{} can't be written", file.display()))
}

/// How far to the right a share belongs: the number of nines.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// The picture itself.
pub fn draw(title: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|series| &series.points);
    let last = points().map(|(share, _)| nines(*share)).fold(1.0, f64::max).ceil();
    let lowest = points()
        .map(|(_, ms)| ms.log10())
        .fold(f64::INFINITY, f64::min)
        .min(2.0)
        .floor();
    let highest = points().map(|(_, ms)| ms.log10()).fold(lowest + 1.0, f64::max).ceil();
    let [left, right, top, bottom] = AREA;
    let x = |share: f64| left + nines(share) / last * (right - left);
    let y = |ms: f64| bottom - (ms.log10() - lowest) / (highest - lowest) * (bottom - top);

    let mut svg = String::new();
    // Writing to a string can't fail, here and below.
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>Latency: {title}</title>
<style>{STYLE}</style>
<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>
<text class="head" x="{left}" y="28">{}</text>"#,
        escape(title),
        title = escape(title),
    );
    let tails = (1..=last as i32).map(|nines| (1.0 - 10_f64.powi(-nines), percent(nines)));
    for (share, name) in [(0.0, "0".to_owned()), (0.5, "50".to_owned())].into_iter().chain(tails) {
        let _ = writeln!(
            svg,
            r#"<path class="grid" d="M{0:.1} {top}V{bottom}"/><text x="{0:.1}" y="{1}" text-anchor="middle">{name} %</text>"#,
            x(share),
            bottom + 20.0
        );
    }
    for decade in lowest as i32..=highest as i32 {
        for step in [1.0, 2.0, 5.0] {
            let ms = step * 10_f64.powi(decade);
            if ms.log10() > highest + 1e-9 {
                break;
            }
            let _ = writeln!(
                svg,
                r#"<path class="grid" d="M{left} {0:.1}H{right}"/><text x="{1}" y="{0:.1}" dy="4" text-anchor="end">{ms}</text>"#,
                y(ms),
                left - 8.0
            );
        }
    }
    let _ = writeln!(
        svg,
        r#"<path class="axis" d="M{left} {top}V{bottom}H{right}"/>
<text x="{}" y="{}" text-anchor="middle">share that took no longer</text>
<text transform="translate(20 {}) rotate(-90)" text-anchor="middle">milliseconds</text>"#,
        f64::midpoint(left, right),
        bottom + 44.0,
        f64::midpoint(top, bottom)
    );
    let mut legend = left;
    for (number, series) in series.iter().enumerate() {
        let line = series
            .points
            .iter()
            .map(|(share, ms)| format!("{:.1},{:.1}", x(*share), y(*ms)));
        let line: Vec<String> = line.collect();
        let colour = number % MAX_CURVES;
        let _ = writeln!(
            svg,
            r#"<polyline class="c{colour}" points="{}"/><path class="c{colour}" d="M{legend} 46h22"/><text x="{}" y="50">{}</text>"#,
            line.join(" "),
            legend + 28.0,
            escape(&series.name)
        );
        legend += 52.0 + 7.5 * series.name.chars().count() as f64;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Colours that keep their contrast on either background and can be told apart by the colour-blind; every other curve
/// is dashed, so that one that lies below another can be seen.
const STYLE: &str = "
.page{fill:#fff} text{fill:#333;font:12px system-ui,sans-serif} .head{font-size:15px;font-weight:600}
.grid{stroke:#8884;fill:none} .axis{stroke:#666;fill:none}
.c1,.c3,.c5{stroke-dasharray:7 3} .c0,.c1,.c2,.c3,.c4,.c5{fill:none;stroke-width:2.2}
.c0{stroke:#0072b2} .c1{stroke:#d55e00} .c2{stroke:#008f68} .c3{stroke:#b0578d} .c4{stroke:#8a6d00} .c5{stroke:#777}
@media (prefers-color-scheme:dark){.page{fill:#14171a} text{fill:#d5d9dd} .axis{stroke:#999}
.c0{stroke:#56b4e9} .c1{stroke:#f28b50} .c2{stroke:#3ecf9e} .c3{stroke:#dd8fc0} .c4{stroke:#e6c84f} .c5{stroke:#aaa}}
";

fn percent(nines: i32) -> String {
    match nines {
        1 => "90".to_owned(),
        2 => "99".to_owned(),
        more => format!("99.{}", "9".repeat(more as usize - 2)),
    }
}

/// A text for XML, outside of attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, factor: f64) -> Series {
        let shares = (0..=96).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 32.0));
        Series {
            name: name.to_owned(),
            points: shares.map(|share| (share, factor * (1.0 + nines(share)))).collect(),
        }
    }

    #[test]
    fn curves_axes_and_names_are_drawn() {
        let svg = draw("a < b", &[series("ours & theirs", 3.0), series("other", 40.0)]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        for text in [
            "a &lt; b",
            "ours &amp; theirs",
            ">99.9 %<",
            "milliseconds",
            ">100<",
            "prefers-color-scheme",
        ] {
            assert!(svg.contains(text), "{text}\n{svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_drawn_too() {
        let svg = draw("nothing", &[]);
        assert!(
            svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
    }
}
