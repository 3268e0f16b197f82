//! A connection string as the drivers of Node.js take it, made into one that this driver takes.
//!
//! The string of a Node.js program can have options that its driver has and this one lacks. If they change nothing of what
//! this server does, they must not keep it from starting: they are taken out, and named in the log. An option that says
//! where data goes or who may see it is never taken out.

/// Options of the drivers of Node.js, in lower case, that mean nothing here: how that driver reaches hosts, waits and makes
/// JavaScript of documents; and how stale a member may be that is read from, and how long to wait for which members to
/// confirm a write, which this server decides itself.
const MEANINGLESS: [&str; 30] = [
    "bsonregexp",
    "checkkeys",
    "compressors",
    "enableutf8validation",
    "family",
    "fieldsasraw",
    "forceserverobjectid",
    "fsync",
    "ignoreundefined",
    "j",
    "keepalive",
    "maxstalenessseconds",
    "minheartbeatfrequencyms",
    "monitorcommands",
    "nodelay",
    "poolsize",
    "promotebuffers",
    "promotelongs",
    "promotevalues",
    "raw",
    "readpreferencetags",
    "serializefunctions",
    "sockettimeoutms",
    "timeoutms",
    "tlsallowinvalidhostnames",
    "usebigint64",
    "usenewurlparser",
    "useunifiedtopology",
    "wtimeout",
    "zlibcompressionlevel",
];

/// The shortest interval between two checks of a server that this driver takes, in milliseconds.
const SHORTEST_HEARTBEAT: u64 = 500;

/// A connection string for this driver.
#[derive(Debug, PartialEq, Eq)]
pub struct Uri {
    /// The string.
    pub text: String,
    /// The names of the options that were taken out of it.
    pub passed_over: Vec<String>,
}

impl Uri {
    /// Makes one of a string that may be meant for another driver. What is no connection string stays as it is.
    pub fn of(text: &str) -> Self {
        let Some((rest, options)) = options_of(text) else {
            return Self {
                text: text.to_owned(),
                passed_over: Vec::new(),
            };
        };
        let (meaningless, kept): (Vec<&str>, Vec<&str>) = options.split('&').partition(|option| is_meaningless(option));
        let names = meaningless.into_iter().map(|option| name_of(option).to_owned());
        let text = match kept.is_empty() {
            true => rest.to_owned(),
            false => format!("{rest}?{}", kept.join("&")),
        };
        Self {
            text,
            passed_over: names.collect(),
        }
    }
}

/// A string up to its `?`, and its options. A `?` before the last `@` is part of a login, which is wrong in another way.
fn options_of(text: &str) -> Option<(&str, &str)> {
    let hosts = text.rfind('@').unwrap_or(0);
    let (start, options) = text[hosts..].split_once('?')?;
    Some((&text[..hosts + start.len()], options))
}

pub(super) fn name_of(option: &str) -> &str {
    option.split_once('=').map_or(option, |(name, _)| name)
}

fn is_meaningless(option: &str) -> bool {
    let Some((name, value)) = option.split_once('=') else {
        return false;
    };
    match &*name.to_ascii_lowercase() {
        // Negotiated, as without it.
        "authmechanism" => value == "DEFAULT",
        "heartbeatfrequencyms" => value.parse().is_ok_and(|pause: u64| pause < SHORTEST_HEARTBEAT),
        // Without a bound, which this driver has only as its largest number.
        "maxpoolsize" => value == "0",
        name => MEANINGLESS.contains(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, String) {
        let uri = Uri::of(text);
        (uri.text, uri.passed_over.join(" "))
    }

    #[test]
    fn what_only_other_drivers_read_is_taken_out() {
        for (text, left, passed_over) in [
            ("mongodb://h/db", "mongodb://h/db", ""),
            ("mongodb://h/db?family=4", "mongodb://h/db", "family"),
            ("mongodb://h?Family=4", "mongodb://h", "Family"),
            (
                "mongodb://u:p@h/db?retryWrites=true&w=majority&wtimeout=5000&authSource=admin",
                "mongodb://u:p@h/db?retryWrites=true&w=majority&authSource=admin",
                "wtimeout",
            ),
            (
                "mongodb+srv://u:p@h/db?authMechanism=DEFAULT&tls=true",
                "mongodb+srv://u:p@h/db?tls=true",
                "authMechanism",
            ),
            (
                "mongodb://h/?maxPoolSize=0&heartbeatFrequencyMS=100&socketTimeoutMS=45000",
                "mongodb://h/",
                "maxPoolSize heartbeatFrequencyMS socketTimeoutMS",
            ),
        ] {
            assert_eq!(taken(text), (left.to_owned(), passed_over.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_matters_and_what_is_wrong_stays() {
        for text in [
            "mongodb://h/db?dbName=other",
            "mongodb://h/db?authMechanism=SCRAM-SHA-256&authSource=admin",
            "mongodb://h/db?maxPoolSize=5&heartbeatFrequencyMS=600",
            "mongodb://h/db?replicaSet=rs0&tlsCAFile=/a&directConnection=true",
            "mongodb://h/db?nonsense=1&family",
            "mongodb://h/db?",
            "mongodb://u:p?family=4@h/db",
            "not a string",
        ] {
            assert_eq!(taken(text), (text.to_owned(), String::new()), "{text}");
        }
    }
}
