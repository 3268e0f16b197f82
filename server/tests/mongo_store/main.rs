//! What only the MongoDB store promises: old databases, exact documents, indexes, several processes, and faults.
//! What every store promises is in `store_contract.rs`.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]
// Tells clippy that the helpers, which carry no #[test] themselves, are part of tests.
#![cfg(test)]

mod clock;
mod documents;
mod faults;
mod feed;
mod figures;
mod fixture;
mod identities;
mod inbox;
mod integrity;
mod late;
mod left;
mod legacy;
mod majority;
mod nodes;
mod opening;
mod presence;
mod receipts;
mod separated;
mod stop;
