//! The commands, their arguments and their help. What they do is in [`crate::commands`].

mod admin;
mod inspect;

use std::path::PathBuf;
use std::time::Duration;

use chatctl_terminal::values::{lifetime, number, seconds, url};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use self::admin::ADMIN_HELP;
pub(crate) use self::admin::Admin;
use self::inspect::{DOCTOR_HELP, TOP_HELP, TRACE_HELP};
pub(crate) use self::inspect::{Doctor, Top};

/// Talks to the chat server: creates users, signs tokens, reads histories, chats.
///
/// The server is found through CHAT_URL, with its BASE_PATH if it has one; it tells where its Socket.IO listens. The secret that signs tokens is looked for in JWT_SECRET and JWT_SECRET_FILE (environment or
/// .env), then in ./data/jwt_secret (or $DATA_DIR/jwt_secret), where a server that was started here keeps it.
///
/// Exit status: 0 done, 1 failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Try it:
  chatctl seed users                      creates userA and userB
  chatctl chat --as userA --with userB    in one terminal
  chatctl chat --as userB --with userA    in another")]
pub(crate) struct Cli {
    #[cfg_attr(
        feature = "prove",
        doc = "Address of the server. `prove` takes several, with commas in between, of servers on one database."
    )]
    #[cfg_attr(not(feature = "prove"), doc = "Where the server is.")]
    #[arg(long, global = true, env = "CHAT_URL", default_value = "http://127.0.0.1:5000", value_parser = url)]
    #[arg(value_delimiter = ',', value_name = "URL")]
    pub(crate) url: Vec<String>,

    /// Where administration is served (ADMIN_LISTEN), for `admin`, `rebuild` and `prove --revoke`; one for each --url. Of a server
    /// of this machine it is known: port 5100 beside 5000.
    #[arg(long, global = true, env = "CHAT_ADMIN_URL", value_parser = url, value_delimiter = ',', value_name = "URL")]
    pub(crate) admin_url: Vec<String>,

    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create data to try the chat with.
    Seed {
        /// What to create.
        #[command(subcommand)]
        what: Seed,
    },
    /// Print a token of a user, for any other client; or check one.
    #[command(after_help = "\
Examples:
  chatctl token userA                     by name
  chatctl token 6945576383968f286a0ff5f9 --expires 7d
  chatctl token --admin                   an administrator who is no user
  chatctl token userA --key key.pem --kid 2026 --claim name=Ada
  chatctl token --check \"$TOKEN\"          what the server thinks of it
  curl -H \"Authorization: Bearer $(chatctl token userA)\" \\
    http://127.0.0.1:5000/users/me")]
    Token(Token),
    /// List the users: presence, id, name, when last seen.
    #[command(after_help = "With --json: one array of the users as the server shows them.")]
    Users,
    /// Print the messages between two users, oldest first.
    #[command(after_help = "\
With --json: one array of the messages as the server shows them.

Examples:
  chatctl history userA userB
  chatctl history userA userB --limit 20
  chatctl history userA userB --json | jq -r '.[].message'")]
    History(History),
    /// Chat in this terminal, or from a script.
    #[command(after_help = CHAT_HELP)]
    Chat(Chat),
    /// List a user's conversations, the one with the newest message first: presence, unread, last message.
    #[command(after_help = "\
✓ follows a last message of the user's own that is stored, ✓✓ once the other one has received it, and a blue \
✓✓ once they have read it. A number is of messages that the user has not read.

With --json: one array of the conversations as the server shows them.

Examples:
  chatctl inbox --as userA
  chatctl inbox --as userA --limit 10
  chatctl inbox --as userA --json | jq '[.[].unread] | add'")]
    Inbox(Inbox),
    /// Print everything that concerns a user as it happens, until Ctrl-C.
    #[command(after_help = WATCH_HELP)]
    Watch(Watch),
    /// Build the inboxes of all users anew from the messages, and show how far that is.
    #[command(after_help = "\
The inboxes that exist are used meanwhile. Ctrl-C ends the showing, not the building.

With --json: a line {\"ready\":…,\"building\":…,\"done\":…,\"total\":…} for each state, the last one when it is done.")]
    Rebuild,
    /// Shut users out, and look at and end their connections.
    #[command(after_help = ADMIN_HELP)]
    Admin {
        /// What to do.
        #[command(subcommand)]
        what: Admin,
    },
    /// Look at a server and at what is before it: what is wrong, and what to change.
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Show servers live: rates, latencies, connections, queues, store.
    #[command(after_help = TOP_HELP)]
    Top(Top),
    /// Say what became of a message: received, committed, sent to which devices, delivered, read; and if not, why not.
    #[command(after_help = TRACE_HELP)]
    Trace {
        /// The id of the message, or the clientMessageId that its sender gave it.
        #[arg(value_name = "MESSAGE")]
        name: String,
    },
    /// Measure the server: rate, latency and correctness of messages, connections, memory, history.
    #[cfg(feature = "bench")]
    #[command(after_help = chatctl_bench::HELP)]
    Bench {
        /// What to measure.
        #[command(subcommand)]
        what: chatctl_bench::Bench,
    },
    /// Prove that a server loses nothing and tells no lies, also while it is killed again and again.
    #[cfg(feature = "prove")]
    #[command(after_help = chatctl_prove::HELP)]
    Prove(chatctl_prove::Prove),
}

/// What can be created.
#[derive(Debug, Subcommand)]
pub(crate) enum Seed {
    /// Create users, or find the existing ones of these names; safe to repeat.
    #[command(after_help = "\
Examples:
  chatctl seed users                      userA and userB
  chatctl seed users ada grace
  chatctl seed users --count 5000         user0001 to user5000
  chatctl seed users ada --external-id 'auth0|7'

A server with USER_IDS=external gives users without --external-id their name as that.")]
    Users {
        /// Their names.
        #[arg(value_name = "NAME", default_values = ["userA", "userB"])]
        names: Vec<String>,
        /// Create this many, named user0001, user0002 and so on.
        #[arg(long, value_name = "N", conflicts_with = "names",
              value_parser = number::<u32>(1..=1_000_000))]
        count: Option<u32>,
        /// What another system calls the one user who is named.
        #[arg(long, value_name = "ID", conflicts_with = "count")]
        external_id: Option<String>,
    },
}

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whose: a name or an id. An id needs no server.
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,
    /// How long it holds, such as 90s, 1h or 7d.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
    pub(crate) expires: Duration,
    /// Let it create and list users and read every conversation.
    #[arg(long)]
    pub(crate) admin: bool,
    /// Sign with the private key in this file (PEM: RSA, P-256, P-384, Ed25519) instead of the secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Algorithm, such as HS512 or PS256; without it the first one of the key.
    #[arg(long, value_name = "NAME")]
    pub(crate) alg: Option<String>,
    /// Id of the key, for its head (kid).
    #[arg(long, value_name = "ID")]
    pub(crate) kid: Option<String>,
    /// Who makes it (iss); without it the first of JWT_ISSUER.
    #[arg(long, value_name = "TEXT")]
    pub(crate) issuer: Option<String>,
    /// For whom it is (aud); without it the first of JWT_AUDIENCE.
    #[arg(long, value_name = "TEXT")]
    pub(crate) audience: Option<String>,
    /// The claim that names the user; without it JWT_USER_CLAIM.
    #[arg(long, value_name = "NAME")]
    pub(crate) user_claim: Option<String>,
    /// Another claim, such as name=Ada or 'roles=["a","b"]': a value that is JSON is taken as such. Several times for several.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    pub(crate) claims: Vec<(String, Value)>,
    /// Say what a server with the settings of this folder thinks of a token, and why; - reads it from standard input.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = [
        "user", "admin", "key", "alg", "kid", "issuer", "audience", "user_claim", "claims",
    ])]
    pub(crate) check: Option<String>,
}

/// A claim and its value.
fn claim(text: &str) -> Result<(String, Value), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok((name.to_owned(), value))
        }
        _ => Err("write a claim and its value, such as name=Ada"),
    }
}

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// One of the two: a name or an id.
    #[arg(value_name = "USER")]
    pub(crate) one: Option<String>,
    /// The other one.
    #[arg(value_name = "OTHER")]
    pub(crate) other: Option<String>,
    /// Only the newest N; without it, all.
    #[arg(long, value_name = "N", value_parser = number::<u32>(1..=u64::from(u32::MAX)))]
    pub(crate) limit: Option<u32>,
}

/// Arguments of `inbox`.
#[derive(Debug, Args)]
pub(crate) struct Inbox {
    /// Whose: a name or an id.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) me: Option<String>,
    /// Only the N conversations with the newest messages; without it, all.
    #[arg(long, value_name = "N", value_parser = number::<u32>(1..=u64::from(u32::MAX)))]
    pub(crate) limit: Option<u32>,
}

/// Arguments of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Who watches: a name or an id.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) me: Option<String>,
    /// Begin after this cursor, the one that an earlier `watch` ended with, with what was missed since.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,
}

/// Arguments of `chat`.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// Who you are: a name or an id.
    #[arg(long = "as", value_name = "USER")]
    pub(crate) me: Option<String>,
    /// With whom: a name or an id.
    #[arg(long, value_name = "USER")]
    pub(crate) with: Option<String>,
    /// From a script: keep listening this many seconds after the input has ended and everything was acknowledged.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "stay")]
    pub(crate) wait: Option<Duration>,
    /// From a script: keep listening after the input has ended, until killed.
    #[arg(long)]
    pub(crate) stay: bool,
    /// From a script: mark what comes in this conversation as read. (A terminal does so by itself.)
    #[arg(long)]
    pub(crate) mark_read: bool,
}

const WATCH_HELP: &str = "\
It connects as one more device of the user, marks nothing, and reconnects by itself without missing anything. At the \
end it prints the last cursor on standard error: pass it as --since to go on from there.

With standard output not a terminal, or with --json, each event is one line of JSON:
  {\"event\":\"receive_message_…\",\"payload\":{…},\"cursor\":\"AQ…\"}
\"cursor\" is missing where the event has none. The events are those of the protocol, and of this program
  {\"event\":\"connected\",\"payload\":{\"userId\":…}}
  {\"event\":\"disconnected\",\"payload\":{\"reason\":…,\"retryInMs\":…}}

Examples:
  chatctl watch --as userA
  chatctl watch --as userA --json |
    jq -c 'select(.event==\"messages_read\").payload'
  chatctl watch --as userA --since AQ8…";

const CHAT_HELP: &str = "\
In a terminal, type and press Enter. ✓ follows a message of yours once the server has stored it for good, ✓✓ \
once the other one has received it, a blue ✓✓ once they have read it. The line above yours shows this for the last \
one, who is there and types, and how much is unread elsewhere.
  /history [N]   show the last N messages (20)
  /with [NAME]   talk to somebody else
  /help          show these commands
  /quit          leave (also Ctrl-D)
  //text         send a text that begins with /
  Up, Down       what you sent before

With standard input not a terminal, or with --json, each line of input is one message (empty lines are skipped) and \
each event is one line of JSON on standard output, {\"event\":NAME, …}, with these fields:
  connected             userId, with: ready; from here on nothing is missed
  receive_message       message: from anybody; \"missed\":true if it came while
                        disconnected
  message_sent          message: sent by you with another client; missed
  ack                   clientMessageId, message, duplicate: your line is stored
                        for good
  retry                 clientMessageId, error, retryInMs: it will be sent again
  error                 clientMessageId, error: it was refused for good
  disconnected          reason, retryInMs
  sync_done             cursor: everything missed while disconnected has come
  sync_reset            reason: what was missed can't be sent whole; see
                        `chatctl history`
  delivered             userId, upTo, at: who has received your messages, up to
                        which one
  read                  userId, upTo, at: the same of reading
  typing                userId, isTyping: who types, or stopped
  presence              userId, isOnline, lastSeen: the other one came or left
  conversation_updated  conversation: one of yours as it is now
Messages that come are marked as received, and with --mark-read as read. Lines are sent in order, each \
after the one before it was acknowledged; what was not acknowledged when the connection broke is sent again and \
stored once. When the input has ended, outstanding lines get 10 seconds to be acknowledged. The exit status is 1 if \
one was refused or stayed unacknowledged.

Examples:
  chatctl chat --as userA --with userB
  echo 'Build 42 is green' | chatctl chat --as userA --with userB
  chatctl chat --as userB --with userA --stay </dev/null |
    jq -r 'select(.event==\"receive_message\").message.message'";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    /// Whoever has a narrow terminal would see lines that were wrapped here wrapped once more.
    #[test]
    fn help_is_wrapped_by_the_terminal_only() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = help.lines().collect();
            for pair in lines.windows(2) {
                let prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
                assert!(!(prose(pair[0]) && prose(pair[1])), "{}: {pair:#?}", command.get_name());
            }
            // What is a table or a command to paste would be torn there.
            for line in lines.iter().filter(|line| line.starts_with(' ')) {
                assert!(line.width() <= 80, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
