//! A page of metrics in the text format of Prometheus (0.0.4), and what can be computed of two of them.

use std::collections::HashMap;

/// One value, with its labels.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
}

/// The values of a page by their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page(HashMap<String, Vec<Sample>>);

impl Page {
    /// Reads a page. Lines that can't be understood are passed over.
    pub(super) fn parse(text: &str) -> Self {
        let mut page = HashMap::<String, Vec<Sample>>::new();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for (name, sample) in lines.filter_map(sample) {
            page.entry(name).or_default().push(sample);
        }
        Self(page)
    }

    /// Whether there is anything of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All values of a name together.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, |_| true)
    }

    /// The value that has this label.
    pub(super) fn of(&self, name: &str, label: &str, value: &str) -> f64 {
        self.sum_where(name, |labels| {
            labels.iter().any(|(key, other)| key == label && other == value)
        })
    }

    fn sum_where(&self, name: &str, which: impl Fn(&[(String, String)]) -> bool) -> f64 {
        let samples = self.0.get(name).into_iter().flatten();
        samples
            .filter(|sample| which(&sample.labels))
            .map(|sample| sample.value)
            .sum()
    }

    /// What a label says, where there is one value of this name.
    pub(super) fn label(&self, name: &str, label: &str) -> Option<&str> {
        let sample = self.0.get(name)?.first()?;
        let found = sample.labels.iter().find(|(key, _)| key == label);
        found.map(|(_, value)| value.as_str())
    }

    /// The duration, in seconds, that a share of what a histogram has seen since `before` did not exceed; none if it saw nothing.
    pub(super) fn quantile_since(&self, before: &Self, name: &str, share: f64) -> Option<f64> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.0.get(&name)? {
            let (_, end) = sample.labels.iter().find(|(key, _)| key == "le")?;
            let seen = sample.value - before.of(&name, "le", end);
            buckets.push((end.replace("+Inf", "inf").parse().ok()?, seen));
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let all = buckets.last()?.1;
        if all <= 0.0 {
            return None;
        }
        let wanted = share * all;
        let (mut from, mut below) = (0.0, 0.0);
        for (end, seen) in buckets {
            if seen >= wanted {
                // What is in one bucket is taken to be spread evenly; above the last bound nothing is known.
                let inside = if seen > below {
                    (wanted - below) / (seen - below)
                } else {
                    1.0
                };
                return Some(if end.is_finite() {
                    from + (end - from) * inside
                } else {
                    from
                });
            }
            (from, below) = (end, seen);
        }
        None
    }
}

/// `name{label="value",…} value`.
fn sample(line: &str) -> Option<(String, Sample)> {
    let (head, labels, rest) = match line.find('{') {
        Some(begin) => {
            let (labels, rest) = labels(&line[begin + 1..])?;
            (&line[..begin], labels, rest)
        }
        None => {
            let (head, rest) = line.split_once(' ')?;
            (head, Vec::new(), rest)
        }
    };
    let value = rest.split_whitespace().next()?.replace("+Inf", "inf").parse().ok()?;
    Some((head.to_owned(), Sample { labels, value }))
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(Vec<(String, String)>, &str)> {
    let (mut labels, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "\
# HELP chat_sends_total Messages
# TYPE chat_sends_total counter
chat_sends_total{outcome=\"stored\"} 10
chat_sends_total{outcome=\"over\\\"loaded\\\\\"} 2 1700000000
chat_connected_users 3
chat_commit_seconds_bucket{le=\"0.001\"} 0
chat_commit_seconds_bucket{le=\"0.01\"} 1
chat_commit_seconds_bucket{le=\"+Inf\"} 1
chat_build_info{version=\"1.2\", store=\"embedded\",} 1
what is this
broken{a=\"b
";

    #[test]
    fn values_are_found_by_name_and_label() {
        let page = Page::parse(FIRST);
        assert_eq!(page.sum("chat_sends_total"), 12.0);
        assert_eq!(page.of("chat_sends_total", "outcome", "stored"), 10.0);
        assert_eq!(page.of("chat_sends_total", "outcome", "over\"loaded\\"), 2.0);
        assert_eq!(page.sum("chat_connected_users"), 3.0);
        assert_eq!(page.label("chat_build_info", "store"), Some("embedded"));
        assert!(page.has("chat_connected_users") && !page.has("broken") && !page.has("absent"));
        assert_eq!(page.sum("absent"), 0.0);
    }

    #[test]
    fn quantiles_are_of_what_came_since() {
        let (before, now) = (
            Page::parse(FIRST),
            Page::parse(
                "chat_commit_seconds_bucket{le=\"0.001\"} 90\nchat_commit_seconds_bucket{le=\"0.01\"} 101\n\
                 chat_commit_seconds_bucket{le=\"+Inf\"} 101\n",
            ),
        );
        let quantile = |share| now.quantile_since(&before, "chat_commit_seconds", share).unwrap();
        assert!((quantile(0.5) - 0.000_555).abs() < 1e-5, "{}", quantile(0.5));
        assert!((quantile(0.99) - 0.009_1).abs() < 1e-4, "{}", quantile(0.99));
        assert_eq!(before.quantile_since(&before, "chat_commit_seconds", 0.5), None);
        assert_eq!(now.quantile_since(&before, "absent", 0.5), None);
    }
}
