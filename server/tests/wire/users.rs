//! Users over HTTP: made by administrators, found by everyone with a token.

use serde_json::{Value, json};
use testkit::server::fresh_database;
use testkit::{Server, http};

use crate::on_both_engines;

on_both_engines!(are_created_once);

on_both_engines!(are_created_by_administrators_only_and_with_good_names);

on_both_engines!(are_found);

on_both_engines!(have_ids_of_another_system);

fn create(server: &Server, body: &Value) -> Vec<Value> {
    let answer = server.post("/users", &server.admin_token(), body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["users"].as_array().expect("users").clone()
}

fn are_created_once(server: &Server) {
    let name = format!("ünï {}", fresh_database());
    let first = create(server, &json!({"username": name}));
    let [user] = first.as_slice() else {
        panic!("one user: {first:?}")
    };
    assert_eq!(user["username"], name.as_str());
    assert_eq!(user["created"], true);
    assert_eq!(user["isOnline"], false);
    assert_eq!(user["_id"].as_str().map(str::len), Some(24));

    let again = create(server, &json!({"username": name}));
    assert_eq!((&again[0]["_id"], &again[0]["created"]), (&user["_id"], &json!(false)));

    // Many, some of them twice or old: one for each name, in the order asked.
    let other = format!("other {name}");
    let many = create(server, &json!({"usernames": [other, name, other]}));
    assert_eq!(many.len(), 3);
    assert_eq!(many[1]["_id"], user["_id"]);
    assert_eq!(many[0]["_id"], many[2]["_id"]);
    let created: Vec<&Value> = many.iter().map(|user| &user["created"]).collect();
    assert_eq!(created[..2], [&json!(true), &json!(false)]);

    let names: Vec<String> = (0..1_000)
        .map(|index| format!("{name} {index}").chars().rev().take(64).collect())
        .collect();
    let crowd = create(server, &json!({"usernames": names}));
    assert_eq!(crowd.len(), 1_000);
    assert!(
        crowd
            .iter()
            .zip(&names)
            .all(|(user, name)| user["username"] == name.as_str() && user["created"] == true)
    );
    let again = create(server, &json!({"usernames": names}));
    assert!(
        again
            .iter()
            .zip(&crowd)
            .all(|(again, user)| again["_id"] == user["_id"] && again["created"] == false)
    );
}

fn are_created_by_administrators_only_and_with_good_names(server: &Server) {
    let [a] = server.new_users();
    let body = json!({"username": format!("never {a}")});
    for (token, status, code) in [
        (String::new(), 401, "unauthorized"),
        ("x".to_owned(), 401, "unauthorized"),
        (server.token(&a), 403, "forbidden"),
    ] {
        let answer = server.post("/users", &token, &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let too_many: Vec<String> = (0..1_001).map(|index| format!("never {a} {index}")).collect();
    for body in [
        json!({"username": ""}),
        json!({"username": " x"}),
        json!({"username": "x".repeat(65)}),
        json!({"username": "a\nb"}),
        json!({"username": 7}),
        json!({"username": null}),
        json!({"usernames": "x"}),
        json!({"usernames": []}),
        json!({"users": []}),
        json!({"users": [{"username": "a", "externalId": "b"}], "username": "a"}),
        json!({"usernames": [format!("never {a}"), ""]}),
        json!({"usernames": too_many}),
        json!({}),
        json!([]),
        json!("x"),
        json!(null),
    ] {
        let answer = server.post("/users", &server.admin_token(), &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{body}: {}",
            answer.body
        );
    }
    let path = format!("/users?username=never+{a}");
    assert_eq!(
        server.get(&path, &server.admin_token()).json()["users"],
        json!([]),
        "all or nothing"
    );
    // 64 characters are allowed, whatever their bytes.
    let long: String = format!("{a}{}", "é".repeat(40));
    assert_eq!(create(server, &json!({"username": long}))[0]["username"], long.as_str());
}

/// External ids: what another system calls its users.
fn have_ids_of_another_system(server: &Server) {
    let [ada] = server.new_users();
    let taken = server.get(&format!("/users/{ada}"), &server.token(&ada)).json();
    let (one, two) = (format!("auth0|{ada}"), format!("é {ada}"));
    // The first of those that are one user says what there is to say of it, however often the others repeat it.
    let mut body = json!({"users": [
        {"username": format!("ext {ada}"), "externalId": one, "displayName": "Ada L.", "avatarUrl": "https://example.com/a.png"},
        {"username": taken["username"], "externalId": two},
        {"username": "another", "externalId": one},
    ]});
    let others = vec![body["users"][2].clone(); 12];
    body["users"].as_array_mut().expect("a list").extend(others);
    let made = create(server, &body);
    let id = made[0]["_id"].as_str().expect("an id");
    let again = create(server, &body);
    assert_eq!(
        made.iter().map(|user| &user["_id"]).collect::<Vec<_>>(),
        again.iter().map(|user| &user["_id"]).collect::<Vec<_>>()
    );
    assert!(again.iter().all(|user| user["created"] == false));
    assert_eq!(
        (&made[0]["_id"], &made[0]["externalId"]),
        (&made[2]["_id"], &json!(one))
    );
    let username = made[1]["username"].as_str().expect("a name");
    let name = taken["username"].as_str().expect("a name");
    assert!(username.starts_with(&format!("{name}-")), "{username}");

    let seen = server.get(&format!("/users/{id}"), &server.token(&ada)).json();
    assert_eq!(
        (&seen["externalId"], &seen["displayName"], &seen["avatarUrl"]),
        (&json!(one), &json!("Ada L."), &json!("https://example.com/a.png"))
    );
    assert_eq!(server.get("/users/me", &server.token(id)).json()["externalId"], one);
    let listed = server.get(
        &format!("/users?username={}", username.replace(' ', "%20")),
        &server.token(&ada),
    );
    assert_eq!(listed.json()["users"][0]["externalId"], two);
    assert_eq!(taken.get("externalId"), None, "who has none shows none");

    // Users who are here can be given one, for ever.
    let mine = format!("mine {ada}");
    for _ in 0..2 {
        let linked = create(server, &json!({"users": [{"_id": ada, "externalId": mine}]}));
        assert_eq!(
            (&linked[0]["_id"], &linked[0]["externalId"], &linked[0]["created"]),
            (&json!(ada), &json!(mine), &json!(false))
        );
    }
    let [bob] = server.new_users();

    for wrong in [
        json!({"username": "a"}),
        json!({"externalId": "a"}),
        json!({"username": "a", "_id": bob, "externalId": "a"}),
        json!({"_id": "7", "externalId": "a"}),
        json!({"_id": bob, "externalId": ada}),
        json!({"username": "a", "externalId": ""}),
        json!({"username": "a", "externalId": 7}),
        json!({"username": "a", "externalId": "a\nb"}),
        json!({"username": "a", "externalId": "x".repeat(129)}),
        json!({"username": " a", "externalId": "a"}),
        json!({"username": "a", "externalId": "a", "displayName": ""}),
        json!({"username": "a", "externalId": "a", "avatarUrl": "javascript:alert(1)"}),
        // It would be taken for that user.
        json!({"username": "a", "externalId": ada}),
        json!({"username": "a", "externalId": ada.to_uppercase()}),
    ] {
        let good = format!("never {ada}");
        let body = json!({"users": [{"username": good, "externalId": good}, wrong]});
        let answer = server.post("/users", &server.admin_token(), &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{body}: {}",
            answer.body
        );
    }
    for (id, external_id) in [
        (&*ada, "another"),
        (&bob, &mine),
        ("ffffffffffffffffffffffff", "nobody's"),
    ] {
        let body = json!({"users": [{"_id": id, "externalId": external_id}]});
        let answer = server.post("/users", &server.admin_token(), &body);
        assert_eq!(answer.code(), "invalid_request", "{body}: {}", answer.body);
    }
    let none = server.get(&format!("/users?username=never%20{ada}"), &server.admin_token());
    assert_eq!(none.json()["users"], json!([]), "all or nothing");
}

fn are_found(server: &Server) {
    let [a, b] = server.new_users();
    let token = server.token(&a);
    let me = server.get("/users/me", &token);
    assert_eq!(me.status, 200, "{}", me.body);
    assert_eq!(me.json()["_id"], a.as_str());
    let name = me.json()["username"].as_str().expect("a name").to_owned();
    assert_eq!(
        me.body,
        format!(r#"{{"_id":"{a}","username":"{name}","isOnline":false}}"#)
    );

    assert_eq!(server.get(&format!("/users/{a}"), &server.token(&b)).body, me.body);
    let query = name.replace(' ', "%20");
    let found = server.get(&format!("/users?username={query}"), &server.token(&b));
    assert_eq!(found.json(), json!({"users": [me.json()]}));
    let nobody = server.get("/users?username=nobody+of+this+name", &token);
    assert_eq!((nobody.status, nobody.json()), (200, json!({"users": []})));

    // The whole list, in pages, is for administrators.
    let forbidden = server.get("/users", &token);
    assert_eq!((forbidden.status, forbidden.code().as_str()), (403, "forbidden"));
    let mut ids: Vec<String> = Vec::new();
    let mut after = String::new();
    loop {
        let page = server
            .get(&format!("/users?limit=200{after}"), &server.admin_token())
            .json();
        let users = page["users"].as_array().expect("users");
        ids.extend(users.iter().map(|user| user["_id"].as_str().expect("an id").to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(ids.is_sorted() && ids.contains(&a) && ids.contains(&b));
    let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());

    for (path, token, status, code) in [
        ("/users/me", "", 401, "unauthorized"),
        ("/users/ffffffffffffffffffffffff", &*token, 404, "user_not_found"),
        ("/users/7", &token, 400, "invalid_id"),
        ("/users/me", &server.admin_token(), 404, "user_not_found"),
        ("/users?limit=0", &server.admin_token(), 400, "invalid_request"),
        ("/users?limit=201", &server.admin_token(), 400, "invalid_request"),
        ("/users?after=7", &server.admin_token(), 400, "invalid_id"),
    ] {
        let answer = server.get(path, token);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}: {}",
            answer.body
        );
    }
}

on_both_engines!(that_do_not_exist_own_nothing);

/// Only an administrator's token may name nobody; what is one's own needs somebody.
fn that_do_not_exist_own_nothing(server: &Server) {
    let nobody = server.admin_token();
    let mut change = server.request("PATCH", "/users/me/settings", &nobody, b"{}".to_vec());
    let json = "application/json".parse().expect("a header value");
    change.headers_mut().insert("content-type", json);
    let paths = ["/users/me", "/users/me/settings", "/chat/conversations", "/chat/sync"];
    let asked = paths.map(|path| server.get(path, &nobody));
    for answer in asked.into_iter().chain([http::send(change)]) {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "user_not_found"),
            "{}",
            answer.body
        );
    }
}
