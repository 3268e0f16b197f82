//! What people and machines do, step by step; a failing script is shown as one that a person can read.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use server::domain::MarkKind;
use shared::SettingsChange;

/// How many people there are.
pub(crate) const PEOPLE: usize = 3;

/// How many devices each has.
pub(crate) const DEVICES: usize = 2;

const NAMES: [&str; PEOPLE] = ["ada", "bob", "eve"];

/// One of the people, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Person(pub(crate) usize);

/// One device of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Device {
    pub(crate) of: Person,
    pub(crate) number: usize,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A device connects and catches up; one that is connected does nothing.
    Connect(Device),
    /// A device leaves.
    Leave(Device),
    /// A device reads nothing any more until it has left.
    Stall(Device),
    /// A message; without a receiver it is for nobody who exists.
    Send {
        from: Device,
        to: Option<Person>,
        key: Option<u8>,
    },
    /// An earlier message that had a key once more, by whichever device: the last, the one before …
    Retry { from: Device, back: usize },
    /// A mark up to a message of the conversation: the newest that is known, the one before …
    Mark {
        by: Device,
        peer: Person,
        kind: MarkKind,
        back: usize,
    },
    /// A mark up to a message of another conversation.
    MarkElsewhere { by: Device, peer: Person },
    /// Settings are changed.
    Set { by: Device, change: SettingsChange },
    /// Somebody types.
    Type { by: Person, to: Person },
    /// Somebody looks somebody else up.
    Look { by: Person, at: Person },
    /// Somebody is shut out, and let in again.
    Ban(Person),
    /// The tokens of somebody are refused from now on, beside new ones.
    Revoke(Person),
    /// A device asks for a page of what it missed.
    Page { by: Device, limit: usize },
    /// All that was asked for is answered.
    Settle,
    /// The server dies and starts again; devices that were connected come back.
    Crash,
}

/// All that happens.
#[derive(Clone)]
pub(crate) struct Script(pub(crate) Vec<Step>);

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES[self.0])
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}'s {}", self.of, ["phone", "tablet"][self.number])
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(device) => write!(f, "{device} connects"),
            Self::Leave(device) => write!(f, "{device} leaves"),
            Self::Stall(device) => write!(f, "{device} stalls"),
            Self::Send { from, to, key } => {
                write!(f, "{from} sends a message")?;
                match to {
                    Some(to) => write!(f, " to {to}")?,
                    None => f.write_str(" to nobody")?,
                }
                key.map_or(Ok(()), |key| write!(f, ", with the key {key}"))
            }
            Self::Retry { from, back } => write!(f, "{from} repeats a message with a key, {back} back"),
            Self::Mark { by, peer, kind, back } => {
                write!(f, "{by}: what {peer} wrote is {kind:?} up to the message {back} back")
            }
            Self::MarkElsewhere { by, peer } => write!(f, "{by} marks a message of others as one of {peer}"),
            Self::Set { by, change } => {
                let is = |value: Option<bool>| value.map_or("as it was", |value| if value { "on" } else { "off" });
                let (receipts, invisible) = (is(change.read_receipts), is(change.invisible));
                write!(f, "{by} sets read receipts {receipts}, invisible {invisible}")
            }
            Self::Type { by, to } => write!(f, "{by} types to {to}"),
            Self::Look { by, at } => write!(f, "{by} looks {at} up"),
            Self::Ban(person) => write!(f, "{person} is banned, and let in again"),
            Self::Revoke(person) => write!(f, "the tokens of {person} are revoked"),
            Self::Page { by, limit } => write!(f, "{by} asks for {limit} changes"),
            Self::Settle => f.write_str("everything is answered"),
            Self::Crash => f.write_str("the server dies and starts again"),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            write!(f, "\n{:>4}. {step}", number + 1)?;
        }
        Ok(())
    }
}

fn person() -> impl Strategy<Value = Person> {
    (0..PEOPLE).prop_map(Person)
}

fn device() -> impl Strategy<Value = Device> {
    (person(), 0..DEVICES).prop_map(|(of, number)| Device { of, number })
}

fn change() -> impl Strategy<Value = SettingsChange> {
    let flag = || select(vec![None, Some(true), Some(false)]);
    (flag(), flag()).prop_map(|(read_receipts, invisible)| SettingsChange {
        read_receipts,
        invisible,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || select(vec![MarkKind::Delivered, MarkKind::Read]);
    let key = prop_oneof![2 => Just(None), 1 => (0..4_u8).prop_map(Some)];
    let receiver = prop_oneof![20 => person().prop_map(Some), 1 => Just(None)];
    prop_oneof![
        4 => device().prop_map(Step::Connect),
        2 => device().prop_map(Step::Leave),
        1 => device().prop_map(Step::Stall),
        12 => (device(), receiver, key).prop_map(|(from, to, key)| Step::Send { from, to, key }),
        3 => (device(), 0..4_usize).prop_map(|(from, back)| Step::Retry { from, back }),
        6 => (device(), person(), kind(), 0..6_usize)
            .prop_map(|(by, peer, kind, back)| Step::Mark { by, peer, kind, back }),
        1 => (device(), person()).prop_map(|(by, peer)| Step::MarkElsewhere { by, peer }),
        2 => (device(), change()).prop_map(|(by, change)| Step::Set { by, change }),
        1 => (person(), person()).prop_map(|(by, to)| Step::Type { by, to }),
        1 => (person(), person()).prop_map(|(by, at)| Step::Look { by, at }),
        1 => person().prop_map(Step::Ban),
        1 => person().prop_map(Step::Revoke),
        2 => (device(), 1..4_usize).prop_map(|(by, limit)| Step::Page { by, limit }),
        3 => Just(Step::Settle),
        1 => Just(Step::Crash),
    ]
}

/// Scripts of up to so many steps.
pub(crate) fn scripts(most: usize) -> impl Strategy<Value = Script> {
    vec(step(), 1..=most).prop_map(Script)
}
