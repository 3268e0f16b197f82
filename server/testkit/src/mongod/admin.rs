//! One command to one mongod, from any thread: also from inside a test's own tokio runtime.

use std::time::Duration;

use bson::Document;
use mongodb::Client;
use mongodb::options::{ClientOptions, ServerAddress};

/// Runs `command` on the `admin` database of the server at this loopback port, whatever its state in a replica set.
pub(super) fn command(port: u16, command: Document) -> mongodb::error::Result<Document> {
    // A runtime must not be entered from within another, so it gets a thread.
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let options = ClientOptions::builder()
                .hosts(vec![ServerAddress::Tcp {
                    host: "127.0.0.1".into(),
                    port: Some(port),
                }])
                .direct_connection(true)
                .server_selection_timeout(Duration::from_secs(2))
                .build();
            let client = Client::with_options(options)?;
            let answer = client.database("admin").run_command(command).await;
            client.shutdown().immediate(true).await;
            answer
        })
    });
    thread.join().expect("a command does not panic")
}
