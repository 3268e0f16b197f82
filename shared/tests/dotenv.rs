//! `.env` means what it means to Node.js. The cases are texts and what the package `dotenv` 17 reads of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::dotenv::DotEnv;

#[derive(Deserialize)]
struct Case {
    text: String,
    read: BTreeMap<String, String>,
}

#[test]
fn every_text_means_what_it_means_to_node() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("dotenv.json")).expect("cases");
    assert!(cases.len() > 25);
    for case in cases {
        let file = DotEnv::parse(&case.text);
        let read: BTreeMap<String, String> = file.iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(read, case.read, "{:?}", case.text);
        for (name, value) in &case.read {
            assert_eq!(
                file.get(name).map(|(value, _)| value),
                Some(value.as_str()),
                "{:?}",
                case.text
            );
        }
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let file =
        DotEnv::parse("\u{feff}# secrets\r\n\r\nA=1\r\nB=\"two\r\nlines\"\r\nnonsense\r\nA=2\r\n  # done\r\n= 3\r\n");
    assert_eq!(file.get("A"), Some(("2", 7)));
    assert_eq!(file.get("B"), Some(("two\nlines", 4)));
    assert_eq!(file.get("C"), None);
    assert_eq!(file.passed_over(), [6, 9]);
}

#[test]
fn values_are_not_shown() {
    let shown = format!("{:?}", DotEnv::parse("JWT_SECRET=hush-hush"));
    assert!(shown.contains("JWT_SECRET") && !shown.contains("hush"), "{shown}");
}
