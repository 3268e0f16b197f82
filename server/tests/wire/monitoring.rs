//! The dashboard and the alert rules of `server/monitoring`: they ask for what there is, and Prometheus takes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::process::{Process, eventually};
use testkit::{Engine, Server, http as client, prometheus};

use crate::metrics::{Family, families, scrape};

/// Labels that Prometheus itself gives each series, and the bound of a bucket.
const LABELS_OF_ALL: [&str; 3] = ["instance", "job", "le"];

fn folder() -> PathBuf {
    testkit::workspace().join("server/monitoring")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).expect("the file can be read")
}

/// Every query of the dashboard, with the title of its panel, as Grafana would send it.
fn queries_of_dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a target has a query");
            let query = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
            queries.push((title.to_owned(), query));
        }
    }
    queries
}

/// The name and the query of every alert, from the lines of the file.
fn alerts() -> Vec<(String, String)> {
    let text = read("alerts.yaml");
    let mut alerts: Vec<(String, String)> = Vec::new();
    let mut in_query = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push((name.to_owned(), String::new()));
        } else if let Some(query) = line.strip_prefix("expr: ") {
            in_query = query == ">-";
            alerts.last_mut().expect("an alert has a name").1 = query.trim_start_matches(">-").to_owned();
        } else if in_query && !line.contains(": ") {
            alerts.last_mut().expect("an alert has a name").1 += &format!(" {line}");
        } else {
            in_query = false;
        }
    }
    alerts
}

/// What is wrong with a query: families and labels that do not exist.
fn faults(query: &str, families: &std::collections::BTreeMap<String, Family>) -> Vec<String> {
    let is_of_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let mut faults = Vec::new();
    let mut known: BTreeSet<&str> = LABELS_OF_ALL.into();
    for (start, _) in query.match_indices(|sign: char| sign.is_ascii_alphabetic()) {
        let begins = !query[..start].ends_with(is_of_name);
        let word: String = query[start..].chars().take_while(|sign| is_of_name(*sign)).collect();
        let is_family = word.starts_with("chat_") || word.starts_with("process_");
        if !begins || !is_family {
            continue;
        }
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| word.strip_suffix(part));
        let family = base.map_or_else(
            || families.get(&word).filter(|family| family.kind != "histogram"),
            |base| families.get(base).filter(|family| family.kind == "histogram"),
        );
        let Some(family) = family else {
            faults.push(format!("there is no {word}"));
            continue;
        };
        known.extend(family.labels.iter().map(String::as_str));
        let selected = query[start + word.len()..].strip_prefix('{');
        let selected = selected.and_then(|rest| rest.split_once('}'));
        for label in selected.iter().flat_map(|(labels, _)| labels.split(", ")) {
            let label = label.split(['=', '!']).next().unwrap_or_default();
            if !family.labels.contains(label) && !LABELS_OF_ALL.contains(&label) {
                faults.push(format!("{word} has no label {label}"));
            }
        }
    }
    for (_, rest) in query
        .match_indices(" by (")
        .map(|(at, found)| query.split_at(at + found.len()))
    {
        let labels = rest.split(')').next().unwrap_or_default().split(", ");
        faults.extend(
            labels
                .filter(|label| !known.contains(label))
                .map(|label| format!("no label {label}")),
        );
    }
    faults
}

#[test]
fn dashboard_and_alerts_ask_for_what_there_is() {
    let families = families(&scrape(Server::shared(Engine::Embedded), "application/openmetrics-text").body);
    let (queries, alerts) = (queries_of_dashboard(), alerts());
    assert!(queries.len() > 40 && alerts.len() > 10);
    for (of, query) in queries.iter().chain(&alerts) {
        let faults = faults(query, &families);
        assert!(faults.is_empty(), "{of}: {query}: {faults:?}");
    }
    let asked = |family: &str| queries.iter().any(|(_, query)| query.contains(family));
    let unseen: Vec<&String> = families.keys().filter(|family| !asked(family)).collect();
    assert_eq!(
        unseen,
        ["process_virtual_memory_bytes"],
        "the dashboard shows all the others"
    );

    for wrong in [
        "sum(chat_message_total)",
        "chat_sends_total{code=\"x\"}",
        "chat_commit_seconds",
        "chat_sends_total_count",
        "sum by (code) (chat_sends_total)",
    ] {
        assert_eq!(faults(wrong, &families).len(), 1, "{wrong}");
    }
}

#[test]
fn promtool_takes_the_alert_rules_and_their_tests() {
    let promtool = |arguments: &[&str]| {
        let output = Command::new(prometheus::programs().join("promtool"))
            .args(arguments)
            .current_dir(folder())
            .output()
            .expect("promtool runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
        said
    };
    let alerts = alerts();
    let checked = promtool(&["check", "rules", "alerts.yaml"]);
    assert!(checked.contains(&format!("{} rules found", alerts.len())), "{checked}");
    promtool(&["test", "rules", "alerts_test.yaml"]);
    let tests = read("alerts_test.yaml");
    for (alert, _) in &alerts {
        for what in ["fires", "stays silent"] {
            assert!(
                tests.contains(&format!("- name: {alert} {what}\n")),
                "no test that {alert} {what}"
            );
        }
    }
}

/// A real Prometheus scrapes a server, evaluates each alert rule, and answers each query of the dashboard.
#[test]
fn prometheus_loads_the_alert_rules_and_answers_the_dashboard() {
    const LONG: Duration = Duration::from_secs(60);
    let server = Server::start(Engine::Embedded);
    let place = tempfile::tempdir().expect("a folder");
    let target = server.admin_url().replace("http://", "");
    let rules = folder().join("alerts.yaml").display().to_string();
    let config = serde_json::json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": [{"job_name": "chat", "static_configs": [{"targets": [target]}]}],
    });
    // JSON is YAML.
    let file = place.path().join("prometheus.yml");
    fs::write(&file, config.to_string()).expect("the folder is writable");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    drop(listener);
    let mut command = Command::new(prometheus::programs().join("prometheus"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", place.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Process::spawn(&mut command);
    let ask = |path: &str| {
        let request = http::Request::get(format!("http://{address}{path}"));
        let answer = client::try_send(request.body(Vec::new()).expect("a request")).ok()?;
        serde_json::from_str::<Value>(&answer.body).ok()
    };
    eventually("Prometheus has scraped the server", LONG, || {
        let up = ask("/api/v1/query?query=chat_build_info")?;
        (up["data"]["result"][0]["metric"]["store"] == "embedded").then_some(())
    });
    eventually("Prometheus has evaluated the rules", LONG, || {
        let answer = ask("/api/v1/rules")?;
        let rules = answer["data"]["groups"][0]["rules"].as_array()?;
        let failed: Vec<&Value> = rules.iter().filter(|rule| rule["health"] == "err").collect();
        assert!(failed.is_empty(), "{failed:?}\n{}", prometheus.stderr());
        let all = rules.len() == alerts().len() && rules.iter().all(|rule| rule["health"] == "ok");
        all.then_some(())
    });
    for (title, query) in queries_of_dashboard() {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = ask(&format!("/api/v1/query?query={encoded}")).expect("an answer");
        assert_eq!(answer["status"], "success", "{title}: {query}: {answer}");
    }
}
