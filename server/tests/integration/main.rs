//! What the project ships beside its programs, used by the tools of others.

mod contract;
