//! `UserStore`: users and their settings.

pub(crate) mod accounts;
pub(crate) mod identities;
pub(crate) mod settings;
