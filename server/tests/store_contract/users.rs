//! `UserStore` and `AccessStore`: users, their settings, and who is shut out.

pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod identities;
pub(crate) mod settings;
