//! What a server tells of itself: store, durability, indexes, what waits, files, settings.

use shared::diagnosis::{Diagnosis, StoreFacts};

use super::finding::Finding;

/// So many messages may wait to be in feeds and inboxes.
const MAX_BACKLOG: u64 = 10_000;
/// So long ago may that be up to which all was read that other processes wrote, in milliseconds.
const MAX_BEHIND_MS: u64 = 60_000;
/// Files of a server that are no connections: database, log, sockets.
const OTHER_FILES: u64 = 100;

pub(super) fn findings(diagnosis: &Diagnosis) -> Vec<Finding> {
    let mut findings = Vec::new();
    if diagnosis.stopping {
        findings.push(Finding::doubt("server", "it is being stopped", "start it again"));
    }
    store(diagnosis, &mut findings);
    findings.push(inbox(diagnosis));
    findings.push(files(diagnosis));
    findings.push(match diagnosis.risky_settings.as_slice() {
        [] => Finding::good("settings", "none is for development or a migration only"),
        on => Finding::doubt(
            "settings",
            on.join(", "),
            "remove these in production: they are for development, measuring or a migration",
        ),
    });
    if diagnosis.lost_log_lines > 0 {
        findings.push(Finding::doubt(
            "log",
            format!("{} lines were lost", diagnosis.lost_log_lines),
            "let whoever reads the log read faster, or log less (LOG_LEVEL)",
        ));
    }
    if !diagnosis.tokens.must_end {
        findings.push(Finding::doubt(
            "tokens",
            "tokens that never end are taken",
            "set JWT_REQUIRE_EXP=true once all tokens have an end",
        ));
    }
    findings
}

fn store(diagnosis: &Diagnosis, findings: &mut Vec<Finding>) {
    let away = "start the database, and let the server's machine reach it; the server's log says more";
    findings.push(match (&diagnosis.store, diagnosis.store_reachable) {
        (Some(facts), true) => Finding::good("store", format!("{} takes writes", facts.engine)),
        (Some(facts), false) => Finding::bad(
            "store",
            format!("{} can be read, and takes no writes", facts.engine),
            away,
        ),
        (None, _) => {
            let why = diagnosis.store_error.as_deref().unwrap_or("it does not answer");
            Finding::bad("store", why, away)
        }
    });
    let Some(facts) = &diagnosis.store else { return };
    findings.push(durability(facts));
    findings.push(match facts.missing_indexes.as_slice() {
        [] => Finding::good("indexes", "all are there"),
        missing => Finding::bad(
            "indexes",
            format!("missing: {}", missing.join(", ")),
            "don't drop them; the server builds them anew by itself, or when it is started again",
        ),
    });
    let (backlog, behind) = (facts.backlog.unwrap_or(0), facts.behind_ms.unwrap_or(0));
    let found = match (facts.backlog, facts.behind_ms) {
        (Some(backlog), _) => format!("{backlog} messages are not in feeds and inboxes yet"),
        (None, Some(behind)) => format!(
            "changes of other processes are read up to {:.1} s ago",
            behind as f64 / 1_000.0
        ),
        (None, None) => "nothing is known".to_owned(),
    };
    findings.push(match backlog > MAX_BACKLOG || behind > MAX_BEHIND_MS {
        false => Finding::good("backlog", found),
        true => Finding::doubt("backlog", found, "look at the disk of the database, and at the log"),
    });
}

fn durability(facts: &StoreFacts) -> Finding {
    let what = &facts.durability;
    match facts.members {
        None if facts.engine == "mongodb" => Finding::bad(
            "durability",
            format!("{what}, of a server that is no member of a replica set"),
            "make it a replica set: what one server has acknowledged is lost with its machine",
        ),
        Some(members) if members < 3 => Finding::doubt(
            "durability",
            format!("{what}, in a replica set of {members}"),
            "have three members, so that writes go on without one of them",
        ),
        Some(members) => Finding::good("durability", format!("{what}, in a replica set of {members}")),
        None => Finding::good("durability", what.as_str()),
    }
}

fn inbox(diagnosis: &Diagnosis) -> Finding {
    let inbox = diagnosis.inbox;
    let progress = format!("{} of {} messages", inbox.done, inbox.total);
    match (inbox.ready, inbox.building) {
        (true, false) => Finding::good("inboxes", "complete"),
        (true, true) => Finding::good("inboxes", format!("complete, being built anew: {progress}")),
        (false, _) => Finding::doubt(
            "inboxes",
            format!("not built yet: {progress}"),
            "wait; lists of conversations are refused until then",
        ),
    }
}

fn files(diagnosis: &Diagnosis) -> Finding {
    let (files, wanted) = (diagnosis.files, u64::from(diagnosis.max_connections) + OTHER_FILES);
    let open = files.open.map_or_else(String::new, |open| format!("{open} of "));
    let found = format!("{open}{} may be open", files.limit);
    let change =
        "raise the limit (LimitNOFILE of systemd, --ulimit nofile of Docker, ulimit -n), or lower MAX_CONNECTIONS";
    let is_nearly_full = files
        .open
        .is_some_and(|open| open.saturating_mul(5) > files.limit.saturating_mul(4));
    match files.limit < wanted {
        true => Finding::bad(
            "files",
            format!("{found}; {} connections are allowed", diagnosis.max_connections),
            change,
        ),
        false if is_nearly_full => Finding::doubt("files", found, change),
        false => Finding::good("files", found),
    }
}
