//! A MongoDB whose members die or hand over under load: nothing acknowledged is lost or doubled, and order is kept.

use serde_json::json;
use testkit::Setup;
use testkit::mongod::Mongod;
use testkit::server::with_database;

use crate::storm::Storm;

/// Each sends one message at a time, so that the order of all of them is certain whatever is refused.
const CLIENTS: usize = 40;

#[test]
fn killing_the_only_member_loses_nothing() {
    through_faults(1, 3, |mongod, _| {
        mongod.kill(0);
        mongod.restart(0);
    });
}

#[test]
fn primaries_that_step_down_or_die_lose_nothing() {
    through_faults(3, 4, |mongod, round| {
        let primary = mongod.elected();
        if round % 2 == 0 {
            mongod.step_down(primary);
            assert_ne!(mongod.elected(), primary, "it may not be elected again so soon");
        } else {
            mongod.kill(primary);
            mongod.restart(primary);
        }
    });
}

fn through_faults(members: usize, rounds: usize, fault: impl Fn(&Mongod, usize)) {
    let mongod = Mongod::replica_set(members);
    let server = Setup::on(&with_database(&mongod.uri(), "failover")).start();
    let mut storm = Storm::start::<CLIENTS>(&server, &server.url(), json!({"window": 1}));
    for round in 0..rounds {
        storm.more(300);
        fault(&mongod, round);
    }
    storm.more(300);
    let tally = storm.finish(&server);
    // A fault lasts shorter than the server tries, or its clients are told to try again.
    assert!(
        tally.refused.keys().all(|code| code == "store_unavailable"),
        "{tally:?}"
    );
}
