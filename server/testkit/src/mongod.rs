//! Real MongoDB servers for tests: fetched once, started on free loopback ports, gone with the test process.
//!
//! | environment | what it does |
//! |---|---|
//! | `MONGOD=/path/to/mongod` | runs this program instead of fetching one |
//! | `TEST_MONGO_URI=mongodb://…` | [`uri`] answers this deployment instead of starting one |
//!
//! [`uri`] is what most tests want: one deployment per test process, a database of its own for each test.
//! [`Mongod`] is for tests that kill, pause or restart their servers. Nothing here knows what is stored.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bson::{Document, doc};

mod admin;
mod fetch;
mod member;

use member::Member;

/// How long servers may take to start or to agree on a primary; generous, for a machine that is busy compiling.
const START: Duration = Duration::from_secs(90);
const SET: &str = "testkit";

/// The connection string, without a database, of this test process's own replica set of one member.
///
/// # Panics
/// If no mongod can be fetched or started; the message says what to do.
pub fn uri() -> String {
    // A static is never dropped: the members' watchers end them with the process.
    static SHARED: OnceLock<Mongod> = OnceLock::new();
    match std::env::var("TEST_MONGO_URI") {
        Ok(uri) if !uri.is_empty() => uri,
        _ => SHARED.get_or_init(|| Mongod::replica_set(1)).uri(),
    }
}

/// One or more mongods of a test's own. They end when this is dropped, or with the test process, however it ends.
#[derive(Debug)]
pub struct Mongod {
    // Guards starting and ending the processes; held only inside the methods here.
    members: Mutex<Vec<Member>>,
    ports: Vec<u16>,
    replica_set: bool,
}

impl Mongod {
    /// A server that belongs to no replica set, ready for commands.
    ///
    /// # Panics
    /// If it does not start; the message ends with its log.
    pub fn standalone() -> Self {
        Self::start(1, None)
    }

    /// A replica set that has a primary and knows all its members. It elects a new primary about two seconds after
    /// it lost one.
    ///
    /// # Panics
    /// If it does not start; the message ends with a member's log.
    pub fn replica_set(members: usize) -> Self {
        let set = Self::start(members, Some(SET));
        let list: Vec<Document> = (0_i32..)
            .zip(&set.ports)
            .map(|(id, port)| doc! { "_id": id, "host": format!("127.0.0.1:{port}") })
            .collect();
        let config = doc! { "_id": SET, "members": list, "settings": { "electionTimeoutMillis": 2_000 } };
        if let Err(error) = admin::command(set.ports[0], doc! { "replSetInitiate": config }) {
            panic!("replSetInitiate: {error}\n{}", set.lock()[0].log_tail());
        }
        set.wait_ready();
        set
    }

    /// A server that is to be the first of a replica set, which nobody has initiated: it takes nothing yet.
    ///
    /// # Panics
    /// If it does not start; the message ends with its log.
    pub fn uninitiated() -> Self {
        Self::start(1, Some(SET))
    }

    fn start(members: usize, set: Option<&str>) -> Self {
        let members: Vec<Member> = (0..members).map(|_| Member::start(set)).collect();
        Self {
            ports: members.iter().map(Member::port).collect(),
            members: Mutex::new(members),
            replica_set: set.is_some(),
        }
    }

    /// The connection string of all members, without a database or options.
    pub fn uri(&self) -> String {
        let hosts: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("mongodb://{}", hosts.join(","))
    }

    /// The process ids, in the order of the members.
    pub fn pids(&self) -> Vec<u32> {
        self.lock().iter().map(Member::pid).collect()
    }

    /// Which member is the primary now, if one is.
    pub fn primary(&self) -> Option<usize> {
        self.ports.iter().position(|port| {
            admin::command(*port, doc! { "hello": 1 })
                .is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
        })
    }

    /// Ends a member at once, as `kill -9` does, and returns when it is gone.
    pub fn kill(&self, member: usize) {
        self.lock()[member].kill();
    }

    /// Starts a killed member again on its data and port, and waits until the deployment takes writes.
    pub fn restart(&self, member: usize) {
        self.lock()[member].restart();
        self.wait_ready();
    }

    /// Has the primary hand over to another member, and returns when it is primary no more. Another one is elected
    /// soon after.
    ///
    /// # Panics
    /// If no other member can take over, or this one is not the primary.
    pub fn step_down(&self, primary: usize) {
        // Waits for a follower that has everything, so it can fail for a moment under load.
        let command = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 30 };
        if let Err(error) = admin::command(self.ports[primary], command) {
            panic!("replSetStepDown: {error}");
        }
    }

    /// Waits for a primary and returns which member it is.
    ///
    /// # Panics
    /// If none is elected.
    pub fn elected(&self) -> usize {
        let deadline = Instant::now() + START;
        loop {
            match self.primary() {
                Some(primary) => return primary,
                None => assert!(Instant::now() < deadline, "no primary within {START:?}"),
            }
        }
    }

    /// Has all members but the primary take over no writes, or take them over again. They go on answering, so the primary stays.
    ///
    /// # Panics
    /// If one does not obey.
    pub fn hold_back(&self, held: bool) {
        let primary = self.elected();
        let mode = if held { "alwaysOn" } else { "off" };
        let others = self.ports.iter().enumerate().filter(|(member, _)| *member != primary);
        for (_, port) in others {
            let command = doc! { "configureFailPoint": "stopReplProducer", "mode": mode };
            if let Err(error) = admin::command(*port, command) {
                panic!("configureFailPoint: {error}");
            }
        }
    }

    /// Starts a killed server that belongs to no replica set again on its port, as if its disk had been replaced.
    pub fn restart_empty(&self, member: usize) {
        self.lock()[member].restart_empty();
        self.wait_ready();
    }

    /// Stops a member's process (`SIGSTOP`): its connections stay open, but nothing answers.
    pub fn pause(&self, member: usize) {
        self.lock()[member].signal("STOP");
    }

    /// Lets a paused member go on (`SIGCONT`).
    pub fn resume(&self, member: usize) {
        self.lock()[member].signal("CONT");
    }

    /// Waits until one member takes writes and every running one follows it.
    fn wait_ready(&self) {
        let deadline = Instant::now() + START;
        loop {
            let ports: Vec<u16> = self
                .lock()
                .iter()
                .filter(|member| member.runs())
                .map(Member::port)
                .collect();
            let states: Vec<_> = ports
                .iter()
                .map(|port| admin::command(*port, doc! { "hello": 1 }))
                .collect();
            let is = |field: &str, state: &Result<Document, _>| {
                state.as_ref().is_ok_and(|hello| hello.get_bool(field).unwrap_or(false))
            };
            let follows = |state| is("isWritablePrimary", state) || (self.replica_set && is("secondary", state));
            if states.iter().any(|state| is("isWritablePrimary", state)) && states.iter().all(follows) {
                return;
            }
            if Instant::now() > deadline {
                panic!("no primary within {START:?}: {states:?}\n{}", self.lock()[0].log_tail());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        // A test that panicked under the lock must not keep the others from ending their servers.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
