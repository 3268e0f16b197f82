//! Histories in pages, in both directions, from anywhere.

use serde_json::Value;
use testkit::Server;

use crate::history::seed;
use crate::on_both_engines;

on_both_engines!(goes_both_ways_from_anywhere);

on_both_engines!(refuses_wrong_parameters);

struct Pages<'a> {
    server: &'a Server,
    a: String,
    b: String,
    all: Vec<Value>,
}

impl<'a> Pages<'a> {
    fn of(server: &'a Server, count: usize) -> Self {
        let [a, b] = server.new_users();
        let all = seed(server, &a, &b, count);
        Self { server, a, b, all }
    }

    fn get(&self, query: &str) -> Vec<Value> {
        let path = format!("/chat/history/{}/{}?{query}", self.a, self.b);
        let answer = self.server.get(&path, &self.server.token(&self.b));
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("a page is an array")
    }

    /// Which messages a query finds, by their places in the whole history.
    fn places(&self, query: &str) -> Vec<usize> {
        let place = |found: &Value| self.all.iter().position(|document| document == found);
        let page = self.get(query);
        page.iter()
            .map(|found| place(found).unwrap_or_else(|| panic!("{query}: {found}")))
            .collect()
    }

    fn id(&self, index: usize) -> &str {
        self.all[index]["_id"].as_str().expect("an id")
    }

    fn time(&self, index: usize) -> &str {
        self.all[index]["createdAt"].as_str().expect("a time")
    }
}

fn goes_both_ways_from_anywhere(server: &Server) {
    let pages = Pages::of(server, 450);
    let range = |range: std::ops::Range<usize>| range.collect::<Vec<_>>();
    let id = |index| pages.id(index);

    assert_eq!(pages.places("limit=3"), range(447..450), "the newest");
    assert_eq!(pages.places("limit=200"), range(250..450));
    assert_eq!(pages.places(&format!("before={}&limit=3", id(100))), range(97..100));
    assert_eq!(pages.places(&format!("after={}&limit=3", id(100))), range(101..104));
    assert_eq!(
        pages.places(&format!("before={}", id(100))),
        range(50..100),
        "50 unless told"
    );
    assert_eq!(
        pages.places(&format!("after={}", id(100))),
        range(101..151),
        "50 unless told"
    );
    assert_eq!(
        pages.places(&format!("before={}&limit=7", id(3))),
        range(0..3),
        "the beginning"
    );
    assert_eq!(
        pages.places(&format!("after={}&limit=7", id(446))),
        range(447..450),
        "the end"
    );
    assert_eq!(pages.places(&format!("before={}", id(0))), range(0..0));
    assert_eq!(pages.places(&format!("after={}", id(449))), range(0..0));
    assert_eq!(
        pages.places(&format!("after={}&before={}&limit=9", id(10), id(14))),
        range(11..14)
    );

    let around = pages.places(&format!("around={}&limit=11", id(100)));
    assert_eq!(around, range(95..106));
    assert_eq!(pages.places(&format!("around={}&limit=1", id(100))), [100]);
    assert!(
        pages
            .places(&format!("around={}&limit=10", id(0)))
            .starts_with(&[0, 1, 2])
    );
    assert!(
        pages
            .places(&format!("around={}&limit=10", id(449)))
            .ends_with(&[447, 448, 449])
    );

    // Moments are included. Many messages share one, so the neighbours of these two may belong to the range too.
    let (from, to) = (pages.time(100), pages.time(300));
    let within = |from: &str, to: &str| {
        let inside = |index: &usize| (from..=to).contains(&pages.time(*index));
        (0..450).filter(inside).collect::<Vec<_>>()
    };
    let newest = |mut places: Vec<usize>, count: usize| places.split_off(places.len().saturating_sub(count));
    assert_eq!(
        pages.places(&format!("from={from}&to={to}&limit=20")),
        within(from, to)[..20],
        "from its start"
    );
    assert_eq!(pages.places(&format!("from={from}&limit=20")), within(from, "3")[..20]);
    assert_eq!(
        pages.places(&format!("to={to}&limit=20")),
        newest(within("2", to), 20),
        "up to its end"
    );
    assert_eq!(
        pages.places(&format!("from={from}&to={from}&limit=200")),
        within(from, from)
    );
    let mut ranged = pages.places(&format!("from={from}&to={to}&limit=70"));
    while let Some(last) = ranged.last().copied() {
        let more = pages.places(&format!("after={}&from={from}&to={to}&limit=70", id(last)));
        if more.is_empty() {
            break;
        }
        ranged.extend(more);
    }
    assert_eq!(ranged, within(from, to));
    let past = "from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00%2B01:00";
    assert_eq!(pages.places(past), range(0..0), "any zone is understood");

    // Page by page, in both directions: nothing is skipped, nothing comes twice.
    let mut backwards = pages.places("limit=37");
    while backwards[0] > 0 {
        let earlier = pages.places(&format!("before={}&limit=37", id(backwards[0])));
        backwards.splice(0..0, earlier);
    }
    assert_eq!(backwards, range(0..450));
    let mut forwards = vec![0];
    loop {
        let last = forwards[forwards.len() - 1];
        let later = pages.places(&format!("after={}&limit=37", id(last)));
        if later.is_empty() {
            break;
        }
        forwards.extend(later);
    }
    assert_eq!(forwards, range(0..450));
}

fn refuses_wrong_parameters(server: &Server) {
    let pages = Pages::of(server, 3);
    let other = Pages::of(server, 1);
    let (id, elsewhere) = (pages.id(1), other.id(0));
    for (query, status, code) in [
        ("limit=0".to_owned(), 400, "invalid_request"),
        ("limit=201".to_owned(), 400, "invalid_request"),
        ("limit=-1".to_owned(), 400, "invalid_request"),
        ("limit=many".to_owned(), 400, "invalid_request"),
        ("limit=".to_owned(), 400, "invalid_request"),
        ("before=7".to_owned(), 400, "invalid_id"),
        ("after=zzzzzzzzzzzzzzzzzzzzzzzz".to_owned(), 400, "invalid_id"),
        ("around=".to_owned(), 400, "invalid_id"),
        ("from=yesterday".to_owned(), 400, "invalid_request"),
        ("to=2026".to_owned(), 400, "invalid_request"),
        (format!("around={id}&before={id}"), 400, "invalid_request"),
        (format!("around={id}&after={id}"), 400, "invalid_request"),
        (format!("before={elsewhere}"), 404, "message_not_found"),
        (format!("after={elsewhere}"), 404, "message_not_found"),
        (format!("around={elsewhere}"), 404, "message_not_found"),
        ("around=ffffffffffffffffffffffff".to_owned(), 404, "message_not_found"),
    ] {
        let path = format!("/chat/history/{}/{}?{query}", pages.a, pages.b);
        let answer = server.get(&path, &server.token(&pages.a));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{query}: {}",
            answer.body
        );
    }
}
