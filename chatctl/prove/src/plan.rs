//! What the users mean to do, all of it drawn from the seed: who writes to whom and how much, who is cut off and for how
//! long, what is read. Timing differs from run to run, so how far into the plan a run gets does, too.
//!
//! Each kind of action of each device has random numbers of its own: that one takes longer shifts no other.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Most partners that a user begins conversations with.
const MAX_PARTNERS: usize = 4;
/// The chance that a user writes notes to themself.
const SELF_CHAT_CHANCE: f64 = 0.3;
/// The chance that an acknowledged message is sent again all the same.
const RESEND_CHANCE: f64 = 0.02;
/// The chance that a device that leaves has crashed.
const CRASH_CHANCE: f64 = 0.3;
/// The chance that a device stays away for longer than a moment.
const LONG_ABSENCE_CHANCE: f64 = 0.2;
/// The chance that a settings change is among the actions of a moment.
const SETTINGS_CHANCE: f64 = 0.02;

/// The conversations of all users.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    seed: u64,
    /// Of each user: partners by their number, with the share of messages that goes to them.
    partners: Vec<Vec<(usize, f64)>>,
}

/// A message to be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SendStep {
    /// To which of the users.
    pub(super) to: usize,
    /// How long to wait for the next, in parts of the mean.
    pub(super) pause: f64,
    /// How many letters to add.
    pub(super) letters: usize,
    /// Whether it is sent again after it was acknowledged.
    pub(super) again: bool,
}

/// Something said about messages that were heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MarkStep {
    /// In which of the user's conversations, by a number of any size.
    pub(super) conversation: usize,
    /// How many messages before the newest.
    pub(super) back: usize,
    /// Read, or only received.
    pub(super) read: bool,
    /// Whether the user becomes invisible or visible besides.
    pub(super) invisible: Option<bool>,
    /// How long to wait for the next, in parts of the mean.
    pub(super) pause: f64,
}

/// How a device leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LeaveStep {
    /// How long it stays connected before.
    pub(super) after: Duration,
    /// How long it is away.
    pub(super) away: Duration,
    /// Whether it loses what it had not saved.
    pub(super) crash: bool,
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn new(seed: u64, users: usize) -> Self {
        let mut random = stream(seed, u64::MAX);
        let mut partners: Vec<Vec<(usize, f64)>> = vec![Vec::new(); users];
        for user in 0..users {
            if users == 1 || random.random_bool(SELF_CHAT_CHANCE) {
                partners[user].push((user, 0.2));
            }
            for _ in 0..random.random_range(1..=MAX_PARTNERS).min(users - 1) {
                let other = (user + random.random_range(1..users)) % users;
                if partners[user].iter().all(|(known, _)| *known != other) {
                    // A few conversations are busy, most are not; both directions have a weight of their own.
                    for (one, two) in [(user, other), (other, user)] {
                        let weight = 1.0 / f64::from(random.random_range(1..=8_u32));
                        partners[one].push((two, weight));
                    }
                }
            }
        }
        Self { seed, partners }
    }

    /// With whom a user has a conversation.
    pub(super) fn partners(&self, user: usize) -> impl Iterator<Item = usize> {
        self.partners[user].iter().map(|(other, _)| *other)
    }

    /// Every conversation once, the smaller number first.
    pub(super) fn pairs(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for user in 0..self.partners.len() {
            pairs.extend(
                self.partners(user)
                    .filter(|other| user <= *other)
                    .map(|other| (user, other)),
            );
        }
        pairs
    }

    /// What a device does.
    pub(super) fn script(&self, user: usize, device: usize) -> Script {
        let number = (user as u64) << 16 | (device as u64) << 8;
        Script {
            partners: self.partners[user].clone(),
            steady: device == 0,
            sends: stream(self.seed, number),
            marks: stream(self.seed, number + 1),
            leaves: stream(self.seed, number + 2),
        }
    }
}

/// Random numbers that belong to one purpose.
fn stream(seed: u64, purpose: u64) -> StdRng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&purpose.to_le_bytes());
    StdRng::from_seed(key)
}

/// What one device does: three endless sequences.
#[derive(Debug)]
pub(super) struct Script {
    partners: Vec<(usize, f64)>,
    steady: bool,
    sends: StdRng,
    marks: StdRng,
    leaves: StdRng,
}

impl Script {
    /// The next message.
    pub(super) fn send(&mut self) -> SendStep {
        let all: f64 = self.partners.iter().map(|(_, weight)| weight).sum();
        let mut left = self.sends.random::<f64>() * all;
        let chosen = self.partners.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding can leave a rest after the last one.
        let to = chosen.or(self.partners.last()).map_or(0, |(to, _)| *to);
        SendStep {
            to,
            pause: wait(&mut self.sends),
            letters: self.sends.random_range(0..120),
            again: self.sends.random_bool(RESEND_CHANCE),
        }
    }

    /// The next mark.
    pub(super) fn mark(&mut self) -> MarkStep {
        MarkStep {
            conversation: self.marks.random_range(0..1_000_000),
            back: if self.marks.random_bool(0.5) {
                0
            } else {
                self.marks.random_range(0..6)
            },
            read: self.marks.random_bool(0.6),
            invisible: self
                .marks
                .random_bool(SETTINGS_CHANCE)
                .then(|| self.marks.random_bool(0.5)),
            pause: wait(&mut self.marks),
        }
    }

    /// How the device leaves next; `None` for one that stays.
    pub(super) fn leave(&mut self) -> Option<LeaveStep> {
        if self.steady {
            return None;
        }
        let mut between = |low: u64, high: u64| Duration::from_millis(self.leaves.random_range(low..high));
        let (after, short, long) = (between(300, 6_000), between(0, 1_500), between(1_500, 8_000));
        let away = if self.leaves.random_bool(LONG_ABSENCE_CHANCE) {
            long
        } else {
            short
        };
        Some(LeaveStep {
            after,
            away,
            crash: self.leaves.random_bool(CRASH_CHANCE),
        })
    }
}

/// A waiting time with the mean 1, as between calls of people who don't know of each other; never very long.
fn wait(random: &mut StdRng) -> f64 {
    let share: f64 = random.random();
    (-(1.0 - share).ln()).min(5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(seed: u64) -> Vec<(SendStep, MarkStep, Option<LeaveStep>)> {
        let plan = Plan::new(seed, 12);
        let scripts = (0..12).flat_map(|user| [plan.script(user, 0), plan.script(user, 1)]);
        let next = |script: &mut Script| (script.send(), script.mark(), script.leave());
        scripts
            .flat_map(|mut script| std::iter::repeat_with(move || next(&mut script)).take(20))
            .collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(Plan::new(7, 12), Plan::new(7, 12));
        assert_eq!(actions(7), actions(7));
        assert_ne!(actions(7), actions(8));
    }

    #[test]
    fn actions_of_one_kind_shift_no_others() {
        let plan = Plan::new(7, 12);
        let (mut one, mut other) = (plan.script(3, 1), plan.script(3, 1));
        for _ in 0..10 {
            one.send();
        }
        assert_eq!((one.mark(), one.leave()), (other.mark(), other.leave()));
    }

    #[test]
    fn conversations_have_two_sides() {
        let plan = Plan::new(3, 30);
        for user in 0..30 {
            for other in plan.partners(user) {
                assert!(plan.partners(other).any(|back| back == user));
            }
        }
        let pairs = plan.pairs();
        let distinct: std::collections::HashSet<_> = pairs.iter().collect();
        assert_eq!(distinct.len(), pairs.len());
        assert!(pairs.iter().any(|(one, two)| one == two) && pairs.iter().any(|(one, two)| one != two));
        assert_eq!(Plan::new(3, 1).pairs(), [(0, 0)]);
    }

    #[test]
    fn the_first_device_stays() {
        let plan = Plan::new(3, 2);
        assert_eq!(plan.script(0, 0).leave(), None);
        assert!(plan.script(0, 1).leave().is_some());
    }
}
