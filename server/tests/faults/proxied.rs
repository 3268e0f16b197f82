//! Proxies before the server: whose word about its client is believed, and what is counted of whom.

use testkit::raw::Raw;
use testkit::{Engine, Server, Setup};

/// A server that lets each address ask three times, and that trusts these proxies.
fn server(trusted: &str, settings: &[(&str, &str)]) -> Server {
    let setup = Setup::new(Engine::Embedded)
        .env("RATE_LIMITS", "on")
        .env("UNLIMITED_ADDRESSES", "none")
        .env("RATE_REQUESTS", "1/h:3")
        .env("TRUSTED_PROXIES", trusted);
    let set = |setup: Setup, (name, value): &(&str, &str)| setup.env(name, value);
    settings.iter().fold(setup, set).start()
}

/// The statuses of so many requests, each on a connection that begins with `first` and has these headers.
fn statuses(server: &Server, first: &str, headers: &str, times: usize) -> Vec<Option<u16>> {
    let ask = |_| {
        let mut client = Raw::connect(server);
        client.send(first).ok()?;
        client.get("/healthz", headers).ok()?;
        Some(client.answer()?.status)
    };
    (0..times).map(ask).collect()
}

const THREE: [Option<u16>; 4] = [Some(200), Some(200), Some(200), Some(429)];

#[test]
fn clients_of_a_trusted_proxy_are_counted_one_by_one() {
    let server = server("127.0.0.1", &[]);
    for client in ["192.0.2.1", "192.0.2.2", "[2001:db8::1]:4711"] {
        assert_eq!(
            statuses(&server, "", &format!("X-Forwarded-For: {client}\r\n"), 4),
            THREE,
            "{client}"
        );
    }
    // What a client writes itself stands before what the proxy adds, and changes nothing.
    for made_up in ["198.51.100.1", "198.51.100.2, 127.0.0.1", "x", "::::", "\u{e4}"] {
        let headers = format!("X-Forwarded-For: {made_up}, 192.0.2.1\r\n");
        assert_eq!(statuses(&server, "", &headers, 1), [Some(429)], "{made_up}");
    }
    let headers = format!("X-Forwarded-For: {}192.0.2.1\r\n", "198.51.100.1, ".repeat(600));
    assert_eq!(statuses(&server, "", &headers, 1), [Some(429)], "8 KiB");
    assert_eq!(
        statuses(&server, "", "Forwarded: for=198.51.100.9\r\n", 5),
        [Some(200); 5],
        "the proxy itself"
    );
}

#[test]
fn whoever_is_no_trusted_proxy_is_not_believed() {
    let server = server("10.0.0.0/8", &[]);
    let all: Vec<_> = (1..5)
        .flat_map(|number| statuses(&server, "", &format!("X-Forwarded-For: 192.0.2.{number}\r\n"), 1))
        .collect();
    assert_eq!(all, THREE);
}

#[test]
fn the_header_forwarded_is_read_where_it_is_the_proxys() {
    let server = server("127.0.0.1", &[("PROXY_HEADER", "forwarded")]);
    for client in ["for=192.0.2.1", "For=\"[2001:db8::1]:4711\";proto=https"] {
        assert_eq!(
            statuses(&server, "", &format!("Forwarded: {client}\r\n"), 4),
            THREE,
            "{client}"
        );
    }
    let headers = "X-Forwarded-For: 198.51.100.9\r\nForwarded: for=198.51.100.8, for=192.0.2.1\r\n";
    assert_eq!(statuses(&server, "", headers, 1), [Some(429)]);
}

#[test]
fn the_proxy_protocol_says_where_a_connection_comes_from() {
    let server = server("127.0.0.1", &[("PROXY_PROTOCOL", "true")]);
    for client in ["TCP4 192.0.2.1 10.0.0.1 4711 80", "TCP6 2001:db8::1 fd00::1 4711 80"] {
        assert_eq!(
            statuses(&server, &format!("PROXY {client}\r\n"), "", 4),
            THREE,
            "{client}"
        );
    }
    // What the client says over it counts for nothing.
    let spoofed = "X-Forwarded-For: 198.51.100.9\r\n";
    assert_eq!(
        statuses(&server, "PROXY TCP4 192.0.2.1 10.0.0.1 4711 80\r\n", spoofed, 1),
        [Some(429)]
    );
    // The proxy asks for itself.
    assert_eq!(statuses(&server, "PROXY UNKNOWN\r\n", "", 5), [Some(200); 5]);
    for garbage in ["", "PROXY TCP4 x y 1 2\r\n", "\r\n\r\n"] {
        assert_eq!(statuses(&server, garbage, "", 1), [None], "{garbage:?}");
    }
}

#[test]
fn a_client_of_a_proxy_has_no_more_connections_than_another() {
    let server = server(
        "127.0.0.1",
        &[("MAX_CONNECTIONS_PER_ADDRESS", "2"), ("RATE_REQUESTS", "off")],
    );
    let begin = |client: &str| {
        let mut connection = Raw::connect(&server);
        let headers = format!("X-Forwarded-For: {client}\r\n");
        let path = "/socket.io/?EIO=4&transport=polling";
        connection.get(path, &headers).expect("it is open");
        connection.answer().expect("an answer").status
    };
    assert_eq!(
        [begin("192.0.2.1"), begin("192.0.2.1"), begin("192.0.2.1")],
        [200, 200, 429]
    );
    assert_eq!(begin("192.0.2.2"), 200);
}
