//! How often something may be done: by a user, from an address.
//!
//! | module | what it owns |
//! |---|---|
//! | [`limiter`] | one rate, and how much of it somebody has used |
//! | [`table`] | who has used something lately, in bounded memory |
//! | [`users`] | the rates of users |
//! | [`addresses`] | the rates of addresses, and their connections |
//!
//! What somebody has used of a rate is one number, and a number that has passed says nothing. Whoever has a connection holds
//! theirs, so a message looks nothing up and takes no lock.

pub mod addresses;
pub mod limiter;
pub mod table;
pub mod users;

pub use addresses::{AddressUse, Addresses};
pub use limiter::TooOften;
pub use users::{Kind, UserRates, UserUse};
