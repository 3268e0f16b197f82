//! What a connection string says, and what is wrong with one; said without what may be secret in it.

use mongodb::Client;
use mongodb::options::{ClientOptions, ConnectionString, HostInfo};

use super::error::store_error;
use super::uri;

/// Finds what is wrong with a connection string without connecting, and says it without what may be secret in it. With
/// `mongodb+srv` the options are checked only once the hosts are known.
pub(super) async fn check(uri: &str) -> Result<(), String> {
    let parsed =
        ConnectionString::parse(uri).map_err(|_| format!("the connection string is not valid: {}", fault(uri)))?;
    if uri.starts_with("mongodb+srv:") {
        return Ok(());
    }
    let wrong = |error: mongodb::error::Error| format!("the connection string can't be used: {}", store_error(&error));
    let mut options = ClientOptions::parse(parsed).await.map_err(wrong)?;
    // A client without a host: it only reads the files of certificates that are named.
    options.hosts.clear();
    // Such a client needs a host.
    options.load_balanced = None;
    let client = Client::with_options(options).map_err(wrong)?;
    client.shutdown().immediate(true).await;
    Ok(())
}

/// Where a connection string leads, for the log: the hosts, or the name by which they are looked up.
pub(super) fn hosts(uri: &str) -> String {
    match ConnectionString::parse(uri).map(|parsed| parsed.host_info) {
        Ok(HostInfo::HostIdentifiers(hosts)) => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            hosts.join(", ")
        }
        Ok(HostInfo::DnsRecord(name)) => name,
        Ok(_) | Err(_) => "an unknown host".to_owned(),
    }
}

/// Finds out what is wrong with a connection string. The driver's own words repeat the part that it could not read, and that
/// can be half of a password: without its `@` a login stands where hosts do. So only names of options and schemes are
/// repeated.
pub(super) fn fault(uri: &str) -> String {
    const SHAPE: &str = "it should read mongodb://[user:password@]host[:port],…[/database][?option=value&…]";
    let Some((scheme, rest)) = uri.split_once("://") else {
        return SHAPE.into();
    };
    if !["mongodb", "mongodb+srv"].contains(&scheme) {
        return format!("unsupported connection string scheme: {scheme}; {SHAPE}");
    }
    let (_login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    let is_taken = |rest: &str| ConnectionString::parse(format!("{scheme}://{rest}")).is_ok();
    if !is_taken(path) {
        let hosts = path.split('/').next().unwrap_or_default();
        return if hosts.is_empty() {
            "it names no host".into()
        } else if is_taken(hosts) {
            "the name of its database has a character that none can have".into()
        } else if scheme == "mongodb+srv" {
            "with mongodb+srv it names one host, without a port; if that should be a login, the @ after it is missing: in \
             .env a # ends a value that is not in quotes"
                .into()
        } else {
            "the port must be a number from 1 to 65535; if that should be a login, the @ after it is missing: in .env a # \
             ends a value that is not in quotes"
                .into()
        };
    }
    if !is_taken(rest) {
        let all = || options.split('&');
        let is_wrong = |option: &&str| !is_taken(&format!("{path}?{option}"));
        // Of some only the combination is wrong.
        let named: Vec<&str> = match all().any(|option| is_wrong(&option)) {
            true => all().filter(is_wrong).collect(),
            false => all().collect(),
        };
        let names = named.into_iter().map(|option| match option.contains('=') {
            true => uri::name_of(option),
            false => "(one without a value)",
        });
        return format!("one of its options is wrong: {}", names.collect::<Vec<_>>().join(", "));
    }
    "in its login, characters such as : / ? # [ ] @ % must be percent-encoded".into()
}
