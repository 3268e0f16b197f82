//! The proxy does to connections what it is told, and only that.

// Tells clippy that the helpers, which carry no #[test] themselves, are part of tests.
#![cfg(test)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use testkit::process::eventually;
use testkit::proxy::{Direction, Link, Proxy};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A server that sends back what it gets, and the network between.
fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut piece = [0; 100];
                while let Ok(bytes @ 1..) = client.read(&mut piece) {
                    if client.write_all(&piece[..bytes]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    Proxy::to(port)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Says something and returns what came back.
fn ask(mut stream: &TcpStream) -> std::io::Result<[u8; 4]> {
    stream.write_all(b"said")?;
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).map(|()| heard)
}

#[test]
fn passes_and_ends_with_its_ends() {
    let proxy = echo();
    let mut client = connect(&proxy);
    assert_eq!(&ask(&client).unwrap(), b"said");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server's end came through");
    assert_eq!((proxy.attempts(), proxy.swallowed()), (1, 0));
}

#[test]
fn delays() {
    let proxy = echo();
    let client = connect(&proxy);
    let fixed = Duration::from_millis(100);
    proxy.set(Link::Delay { fixed, jitter: fixed });
    let begun = Instant::now();
    assert_eq!(&ask(&client).unwrap(), b"said");
    assert!(begun.elapsed() >= 2 * fixed, "{:?} there and back", begun.elapsed());
}

#[test]
fn resets_until_it_is_healed() {
    let proxy = echo();
    let old = connect(&proxy);
    ask(&old).unwrap();
    proxy.set(Link::Reset);
    for client in [&old, &connect(&proxy)] {
        assert_ne!(
            ask(client).unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "no timeout but a reset"
        );
    }
    proxy.heal();
    ask(&connect(&proxy)).unwrap();
}

#[test]
fn cuts_only_what_is_open() {
    let proxy = echo();
    let old = connect(&proxy);
    ask(&old).unwrap();
    proxy.cut();
    assert_eq!((&old).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    ask(&connect(&proxy)).unwrap();
}

#[test]
fn swallows_one_way_and_for_ever() {
    for (direction, bytes) in [(Direction::ToServer, 4), (Direction::ToClient, 4), (Direction::Both, 4)] {
        let proxy = echo();
        let mut old = connect(&proxy);
        ask(&old).unwrap();
        proxy.set(Link::Swallow(direction));
        old.write_all(b"said").unwrap();
        eventually("it is swallowed", TIMEOUT, || {
            (proxy.swallowed() == bytes).then_some(())
        });
        proxy.heal();
        old.write_all(b"more").unwrap();
        eventually("it stays so", TIMEOUT, || {
            (proxy.swallowed() == 2 * bytes).then_some(())
        });
        ask(&connect(&proxy)).unwrap();
        proxy.cut();
        assert_eq!(old.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}
