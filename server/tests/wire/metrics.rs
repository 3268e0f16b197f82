//! `GET /metrics`: where it is, that its numbers are what happened, and that OPERATIONS has each family.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::http::{Answer, send};
use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

use crate::run_checks;

/// What a scrape is answered, as OpenMetrics or in the older format.
pub(crate) fn scrape(server: &Server, accept: &str) -> Answer {
    let request = http::Request::get(format!("{}/metrics", server.admin_url())).header("Accept", accept);
    send(request.body(Vec::new()).expect("a request"))
}

/// A family of metrics.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// What kind it is.
    pub(crate) kind: String,
    has_help: bool,
    unit: Option<String>,
    /// The names of its labels.
    pub(crate) labels: BTreeSet<String>,
}

/// The families of a page of OpenMetrics, by the names that queries use.
pub(crate) fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::new();
    let mut latest: Option<(String, Family)> = None;
    for line in page.lines().chain(["# HELP end"]) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", ..] => {
                families.extend(latest.take());
                let family = Family {
                    kind: String::new(),
                    has_help: words.get(3).is_some_and(|help| help.len() > 5),
                    unit: None,
                    labels: BTreeSet::new(),
                };
                latest = words.get(3).map(|_| (words[2].to_owned(), family));
            }
            ["#", keyword, name, value] => {
                let (known, family) = latest.as_mut().expect("a family begins with its help");
                assert_eq!(known, name, "{line}");
                match keyword {
                    "TYPE" => family.kind = value.to_owned(),
                    "UNIT" => family.unit = Some(value.to_owned()),
                    _ => panic!("{line}"),
                }
            }
            ["#", "EOF"] => {}
            _ => {
                let (known, family) = latest.as_mut().expect("a family begins with its help");
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                assert!(name.starts_with(&*known), "{line} stands among those of {known}");
                let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
                for label in labels.iter().flat_map(|(labels, _)| labels.split("\",")) {
                    let (label, _) = label.split_once("=\"").expect("a label has a value");
                    family.labels.insert(label.to_owned());
                }
            }
        }
    }
    let suffixed = families.into_iter().map(|(name, family): (String, Family)| {
        let suffix = match &*family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (name + suffix, family)
    });
    suffixed.collect()
}

#[test]
fn are_served_at_the_place_of_administration_without_a_token_and_nowhere_else() {
    let server = Server::shared(Engine::Embedded);
    let elsewhere = server.get("/metrics", &server.admin_token());
    assert_eq!((elsewhere.status, elsewhere.code()), (404, "not_found".to_owned()));
    let page = scrape(server, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!(page.status, 200);
    let is_open = page
        .header("content-type")
        .starts_with("application/openmetrics-text; version=1.0.0");
    assert!(is_open && page.body.ends_with("# EOF\n"), "{}", page.body);
    let page = scrape(server, "*/*");
    assert!(page.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(page.body.contains("# TYPE chat_sends_total counter\n"), "{}", page.body);
}

#[test]
fn count_what_happened_on_the_embedded_store() {
    count_what_happened(Engine::Embedded);
}

#[test]
fn count_what_happened_on_mongodb() {
    count_what_happened(Engine::Mongo);
}

fn count_what_happened(engine: Engine) {
    for transport in ["polling", "websocket"] {
        let server = Setup::new(engine)
            .env("RATE_LIMITS", "on")
            .env("RATE_TYPING", "1/m:1")
            .start();
        let [a, b] = server.new_users();
        run_checks(
            "metrics.js",
            &json!({
                "url": server.url(),
                "administration": server.admin_url(),
                "transport": transport,
                "users": {"a": a, "b": b},
                "tokens": {"a": server.token(&a), "b": server.token(&b)},
                "store": match engine {
                    Engine::Embedded => "embedded",
                    Engine::Mongo => "mongodb",
                },
            }),
        );
    }
}

#[test]
fn have_a_type_a_help_and_a_unit_and_stand_in_operations() {
    let pages =
        [Engine::Embedded, Engine::Mongo].map(|engine| scrape(Server::shared(engine), "application/openmetrics-text"));
    let [families, of_mongo] = pages.map(|page| families(&page.body));
    assert_eq!(
        families.keys().collect::<Vec<_>>(),
        of_mongo.keys().collect::<Vec<_>>(),
        "both stores have the same families"
    );
    for (name, family) in &families {
        assert!(family.has_help, "{name} has no help");
        let kinds = ["counter", "gauge", "histogram", "info"];
        assert!(kinds.contains(&&*family.kind), "{name} is a {}", family.kind);
        let base = name.trim_end_matches("_total");
        for unit in ["seconds", "bytes"] {
            let has_unit = family.unit.as_deref() == Some(unit);
            assert_eq!(base.ends_with(&format!("_{unit}")), has_unit, "the unit of {name}");
        }
    }
    let documented = documented();
    let shown: BTreeMap<&str, (String, BTreeSet<String>)> = families
        .iter()
        .map(|(name, family)| {
            let mut labels = family.labels.clone();
            labels.remove("le");
            (&**name, (family.kind.clone(), labels))
        })
        .collect();
    let documented: BTreeMap<&str, _> = documented
        .iter()
        .map(|(name, family)| (&**name, family.clone()))
        .collect();
    assert_eq!(documented, shown, "the table of OPERATIONS");
}

/// The table of OPERATIONS: the type and the labels of each family.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = testkit::workspace().join("server/OPERATIONS.md");
    let text = std::fs::read_to_string(path).expect("OPERATIONS can be read");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `chat_") || line.starts_with("| `process_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
    })
    .collect()
}

/// However many clients there are, and whatever names they make up, a page has the same series.
#[test]
fn stay_small_while_two_thousand_connections_flood() {
    const CONNECTIONS: usize = 2_000;
    const MAX_BYTES: usize = 64 * 1024;
    testkit::process::allow_files(10_000);
    let server = Setup::new(Engine::Embedded)
        .env("MAX_CONNECTIONS_PER_USER", CONNECTIONS)
        .env("RATE_LIMITS", "off")
        .start();
    let [user] = server.new_users();
    let token = server.token(&user);
    let mut connections: Vec<Raw> = (0..CONNECTIONS)
        .map(|_| {
            let mut raw = Raw::connect(&server);
            raw.authenticate(&token);
            raw
        })
        .collect();
    let series = |page: &str| page.lines().filter(|line| !line.starts_with('#')).count();
    let before = scrape(&server, "application/openmetrics-text").body;
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            for round in 0..5 {
                for (number, raw) in connections.iter_mut().enumerate() {
                    let event = format!("42{number}[\"made_up_{round}_{number}\",{{\"a\":{number}}}]");
                    raw.say(&event).expect("it is open");
                }
            }
        });
        let mut scrapes = 0;
        while !flood.is_finished() || scrapes < 5 {
            let begun = Instant::now();
            let page = scrape(&server, "application/openmetrics-text");
            assert_eq!(page.status, 200);
            assert!(page.body.len() < MAX_BYTES, "{} bytes", page.body.len());
            assert_eq!(series(&page.body), series(&before), "no series came");
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            scrapes += 1;
        }
    });
    let page = scrape(&server, "application/openmetrics-text").body;
    assert!(page.contains(&format!("chat_connections{{transport=\"websocket\"}} {CONNECTIONS}\n")));
    // A made up name is refused before anything else is done for it; the last of them may be on their way.
    assert!(!page.contains("made_up"));
}
