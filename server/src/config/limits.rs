//! How much the server takes and how often: what may wait, who may connect, how often something may be done, and whose
//! address counts.

use clap::{ArgAction, Args, ValueEnum};
use shared::limits;

use super::networks::{self, Networks};
use super::rate::{self, Quota, Rate};
use super::values;

/// What is sent as `Forwarded` or `X-Forwarded-For`, of which proxies set one and pass the other on as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, of most proxies.
    XForwardedFor,
    /// `Forwarded`, of RFC 7239.
    Forwarded,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// How much and how often.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Longest message, in bytes of UTF-8 (1 to 32768)
    #[arg(
        long, env = "MAX_MESSAGE_BYTES", default_value_t = limits::MESSAGE_BYTES as u32,
        value_parser = values::number(1..=32_768_u32)
    )]
    pub max_message_bytes: u32,

    /// Messages that may wait to be stored and delivered before senders are answered `overloaded` (1 to 1000000)
    ///
    /// A user may have as many as are still free, so one of them can take half of it at most.
    #[arg(
        long, env = "MAX_QUEUED_MESSAGES", default_value_t = 8_192,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_queued_messages: u32,

    /// Bytes of those messages, as clients are sent them (1048576 to 4294967295)
    #[arg(
        long, env = "MAX_QUEUED_BYTES", default_value_t = 32 * 1024 * 1024,
        value_parser = values::number(1_048_576..=u32::MAX)
    )]
    pub max_queued_bytes: u32,

    /// Messages of one connection that may wait for their answer (1 to 2048)
    #[arg(
        long, env = "MAX_UNANSWERED_PER_CONNECTION", default_value_t = 1_024,
        value_parser = values::number(1..=2_048_u32)
    )]
    pub max_unanswered_per_connection: u32,

    /// Socket.IO connections one user may have at a time (1 to 10000)
    #[arg(
        long, env = "MAX_CONNECTIONS_PER_USER", default_value_t = 32,
        value_parser = values::number(1..=10_000_u32)
    )]
    pub max_connections_per_user: u32,

    /// TCP connections the server holds at a time; more are closed at once (1 to 1000000)
    #[arg(
        long, env = "MAX_CONNECTIONS", default_value_t = 19_000,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_connections: u32,

    /// TCP connections of one address, of IPv6 of one /64 network; more are closed at once (1 to 1000000)
    #[arg(
        long, env = "MAX_CONNECTIONS_PER_ADDRESS", default_value_t = 2_000,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_connections_per_address: u32,

    /// Sessions that poll and have not authenticated, in all (1 to 1000000)
    ///
    /// A session that would be one too many is answered `overloaded`, here and for the next two settings. Clients that did not
    /// poll and left without authenticating are counted the same way, until they are forgotten.
    #[arg(
        long, env = "MAX_UNAUTHENTICATED", default_value_t = 4_096,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_unauthenticated: u32,

    /// The same of one address, of IPv6 of one /64 network (1 to 1000000)
    #[arg(
        long, env = "MAX_UNAUTHENTICATED_PER_ADDRESS", default_value_t = 2_048,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_unauthenticated_per_address: u32,

    /// The same of one TCP connection, which can be a proxy's (1 to 1000000)
    #[arg(
        long, env = "MAX_UNAUTHENTICATED_PER_CONNECTION", default_value_t = 64,
        value_parser = values::number(1..=1_000_000_u32)
    )]
    pub max_unauthenticated_per_connection: u32,

    /// Seconds that a connection has for authenticating (1 to 60)
    #[arg(
        long, env = "AUTHENTICATION_TIMEOUT", default_value_t = 10,
        value_parser = values::number(1..=60_u32)
    )]
    pub authentication_timeout: u32,

    /// Whether the limits in time hold, those that begin with RATE_, and MESSAGE_QUOTA; bounds of memory always hold
    #[arg(long, env = "RATE_LIMITS", value_enum, default_value_t = Switch::On)]
    pub rate_limits: Switch,

    /// Messages of one user, such as 20/s:100 for 20 a second and 100 at once; off for any number
    ///
    /// All rates are written like that: a number, then /s, /m, /h or /d, then how many at once. What goes beyond is answered
    /// `rate_limited`.
    #[arg(long, env = "RATE_MESSAGES", default_value = "20/s:100", value_parser = rate::rate)]
    pub rate_messages: Rate,

    /// `typing` of one user
    #[arg(long, env = "RATE_TYPING", default_value = "2/s:10", value_parser = rate::rate)]
    pub rate_typing: Rate,

    /// All other events of one user: marks, settings, presence
    #[arg(long, env = "RATE_EVENTS", default_value = "50/s:500", value_parser = rate::rate)]
    pub rate_events: Rate,

    /// Pages of one user, `sync` and `conversations`, and HTTP requests with a good token; there administrators are not counted
    #[arg(long, env = "RATE_READS", default_value = "20/s:300", value_parser = rate::rate)]
    pub rate_reads: Rate,

    /// Bytes of messages of one user, such as 100MiB/day: so much at once, and so much again in that time; off for any number
    #[arg(long, env = "MESSAGE_QUOTA", default_value = "off", value_parser = rate::quota)]
    pub message_quota: Quota,

    /// New TCP connections of one address, of IPv6 of one /64 network
    #[arg(long, env = "RATE_CONNECTIONS", default_value = "100/s:2000", value_parser = rate::rate)]
    pub rate_connections: Rate,

    /// HTTP requests of one address, those of polling included
    #[arg(long, env = "RATE_REQUESTS", default_value = "500/s:5000", value_parser = rate::rate)]
    pub rate_requests: Rate,

    /// Tokens from one address that were not accepted; more are refused before they are looked at
    #[arg(long, env = "RATE_FAILED_TOKENS", default_value = "10/s:100", value_parser = rate::rate)]
    pub rate_failed_tokens: Rate,

    /// Addresses and networks that no limit for one address is for, separated by commas; none for no address
    ///
    /// Bounds of memory are for these, too. The default is this machine and private networks, where proxies and tools are.
    #[arg(
        long, env = "UNLIMITED_ADDRESSES",
        default_value = "unix,127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,fc00::/7,fe80::/10",
        value_parser = networks::networks
    )]
    pub unlimited_addresses: Networks,

    /// Addresses and networks of proxies before this server, separated by commas; they say who their client is
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "none", value_parser = networks::networks)]
    pub trusted_proxies: Networks,

    /// The header in which these proxies name their client; the other one is not read
    #[arg(long, env = "PROXY_HEADER", value_enum, default_value_t = ProxyHeader::XForwardedFor)]
    pub proxy_header: ProxyHeader,

    /// Whether these proxies begin a connection with the PROXY protocol, version 1 or 2
    #[arg(
        long, env = "PROXY_PROTOCOL", action = ArgAction::Set, default_value_t = false, num_args = 0..=1,
        default_missing_value = "true", value_parser = values::flag
    )]
    pub proxy_protocol: bool,
}
