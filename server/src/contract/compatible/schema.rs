//! What breaks between two schemas of one thing that is sent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Who sends it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The client: it may have to send no more than before, and everything that was taken is taken.
    Asked,
    /// The server: everything is there that was there, and is what it was.
    Answered,
}

/// These may get new choices in answers: PROTOCOL says that a client goes on with what it knows.
const OPEN: [&str; 2] = ["ErrorCode", "SyncEvent"];

/// Adds what breaks between two schemas, each with its document.
pub(super) fn compare(
    what: &str,
    direction: Direction,
    schemas: (&Value, &Value, &Value, &Value),
    found: &mut Vec<String>,
) {
    let (old_document, old, new_document, new) = schemas;
    let (old, new) = (Shape::of(old_document, old), Shape::of(new_document, new));
    let documents = (old_document, new_document);
    let mut say = |why: String| found.push(format!("{what}: {why}"));
    let is_open = old.is_open && direction == Direction::Answered;
    match direction {
        Direction::Asked => {
            if !new.types.is_empty() && (old.types.is_empty() || !old.types.iter().all(|kind| new.takes(kind))) {
                say(format!("{:?} is {:?} now", old.types, new.types));
            }
            if let Some(values) = &new.values
                && old.values.as_ref().is_none_or(|old| !old.is_subset(values))
            {
                say("fewer values are taken".to_owned());
            }
            for name in new.required.difference(&old.required) {
                say(format!("{name} is required now"));
            }
            if new.is_closed && !old.is_closed {
                say("other fields are refused now".to_owned());
            }
        }
        Direction::Answered => {
            if !old.types.is_empty() && (new.types.is_empty() || !new.types.iter().all(|kind| old.takes(kind))) {
                say(format!("{:?} is {:?} now", old.types, new.types));
            }
            if let Some(values) = &old.values {
                match &new.values {
                    Some(new) if is_open || new.is_subset(values) => {
                        for gone in values.difference(new) {
                            say(format!("{gone} is gone"));
                        }
                    }
                    _ => say("more values are possible".to_owned()),
                }
            }
            for name in old.required.difference(&new.required) {
                say(format!("{name} can be missing now"));
            }
        }
    }
    limits(direction, &old, &new, &mut say);
    for (name, property) in &old.properties {
        let what = format!("{what}, {name}");
        match new.properties.get(name) {
            Some(now) => compare(&what, direction, (old_document, property, new_document, now), found),
            None => found.push(format!("{what}: is gone")),
        }
    }
    if let Some(items) = old.items {
        let any = Value::Bool(true);
        let schemas = (old_document, items, new_document, new.items.unwrap_or(&any));
        compare(&format!("{what}, each"), direction, schemas, found);
    }
    choices(what, direction, is_open, documents, (&old, &new), found);
}

/// Numbers and patterns that bound a value.
fn limits(direction: Direction, old: &Shape<'_>, new: &Shape<'_>, say: &mut impl FnMut(String)) {
    let names: BTreeSet<&str> = old.limits.keys().chain(new.limits.keys()).copied().collect();
    for name in names {
        let (before, now) = (old.limits.get(name), new.limits.get(name));
        // Whoever is to be content: with what a client sends the server, with what the server sends the client.
        let (wide, narrow) = match direction {
            Direction::Asked => (now, before),
            Direction::Answered => (before, now),
        };
        let fits = match (wide, narrow) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => match (wide.as_f64(), narrow.as_f64()) {
                (Some(wide), Some(narrow)) if name.starts_with("min") => wide <= narrow,
                (Some(wide), Some(narrow)) => wide >= narrow,
                _ => wide == narrow,
            },
        };
        if !fits {
            let shown = |value: Option<&&Value>| value.map_or("nothing".to_owned(), ToString::to_string);
            say(format!("{name} was {} and is {}", shown(before), shown(now)));
        }
    }
}

/// Each choice that there was is there, and answers have no others.
fn choices(
    what: &str,
    direction: Direction,
    is_open: bool,
    (old_document, new_document): (&Value, &Value),
    (old, new): (&Shape<'_>, &Shape<'_>),
    found: &mut Vec<String>,
) {
    let breaks = |old: &Value, new: &Value| {
        let mut found = Vec::new();
        compare(what, direction, (old_document, old, new_document, new), &mut found);
        found
    };
    for (place, choice) in old.choices.iter().enumerate() {
        let tries = new.choices.iter().map(|now| breaks(choice, now));
        match tries.min_by_key(Vec::len) {
            Some(fewest) => found.extend(fewest.into_iter().map(|why| format!("{why} (choice {place})"))),
            // All choices are taken where there are none to choose from.
            None if direction == Direction::Asked => {}
            None => found.push(format!("{what}: choice {place} is gone")),
        }
    }
    let has_more = match direction {
        Direction::Asked => old.choices.is_empty() && !new.choices.is_empty(),
        Direction::Answered => {
            let is_new = |now: &&Value| !old.choices.iter().any(|choice| breaks(choice, now).is_empty());
            !is_open && !old.choices.is_empty() && new.choices.iter().any(is_new)
        }
    };
    if has_more {
        found.push(format!("{what}: is one of other choices now"));
    }
}

/// What a reference leads to, over as many others as it takes; any other value itself.
pub(super) fn target<'a>(document: &'a Value, mut value: &'a Value) -> &'a Value {
    while let Some(reference) = value["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        value = document.pointer(pointer).unwrap_or(&Value::Null);
    }
    value
}

/// What a schema says, its references and all that has to hold together put into one.
#[derive(Default)]
struct Shape<'a> {
    /// None: every one.
    types: BTreeSet<&'a str>,
    properties: BTreeMap<&'a str, &'a Value>,
    required: BTreeSet<&'a str>,
    /// The values that are possible, written as JSON.
    values: Option<BTreeSet<String>>,
    items: Option<&'a Value>,
    limits: BTreeMap<&'a str, &'a Value>,
    choices: Vec<&'a Value>,
    is_closed: bool,
    is_open: bool,
}

impl<'a> Shape<'a> {
    fn of(document: &'a Value, schema: &'a Value) -> Self {
        let mut shape = Self::default();
        shape.add(document, schema);
        // A choice between single values is a list of them.
        let single: Option<BTreeSet<String>> = shape
            .choices
            .iter()
            .map(|choice| choice.get("const").map(Value::to_string))
            .collect();
        if let Some(values) = single.filter(|values| !values.is_empty()) {
            shape.values = Some(values);
            shape.choices.clear();
        }
        shape
    }

    fn add(&mut self, document: &'a Value, schema: &'a Value) {
        if let Some(reference) = schema["$ref"].as_str() {
            self.is_open |= reference.rsplit('/').next().is_some_and(|name| OPEN.contains(&name));
            self.add(document, target(document, schema));
        }
        let texts = |value: &'a Value| value.as_array().into_iter().flatten().filter_map(Value::as_str);
        self.types
            .extend(schema["type"].as_str().into_iter().chain(texts(&schema["type"])));
        self.required.extend(texts(&schema["required"]));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            self.properties.insert(name, property);
        }
        let values = schema.get("const").map(|value| BTreeSet::from([value.to_string()]));
        let values = values.or_else(|| Some(schema["enum"].as_array()?.iter().map(Value::to_string).collect()));
        self.values = values.or(self.values.take());
        self.items = schema.get("items").or(self.items);
        self.is_closed |= schema["additionalProperties"] == false;
        for name in [
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "pattern",
            "format",
        ] {
            self.limits.extend(schema.get(name).map(|limit| (name, limit)));
        }
        for name in ["oneOf", "anyOf"] {
            self.choices.extend(schema[name].as_array().into_iter().flatten());
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.add(document, part);
        }
    }

    fn takes(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.contains(kind) || kind == "integer" && self.types.contains("number")
    }
}
