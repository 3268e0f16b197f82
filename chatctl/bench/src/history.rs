//! `bench history`: pages of random conversations ([`mod@pages`]), or whole conversations ([`mod@full`]).

mod full;
mod pages;
mod reader;

pub(super) use self::full::full;
pub(super) use self::pages::pages;
